"""Every family, and every member of each: found because it is defined, described, and within reach."""

from __future__ import annotations

import importlib
import pkgutil
from typing import Literal

import pytest

import diffusion_studio
from diffusion_studio.core.describe import Member, every_knob, families, knobs, members
from diffusion_studio.engine.chains.sample_spec import SampleSpec
from diffusion_studio.engine.plane.spec import PlaneSpec
from diffusion_studio.engine.runs.autoencoder_config import HVAEConfig
from diffusion_studio.engine.runs.config import RunConfig

CHOICES = (RunConfig(), SampleSpec(), PlaneSpec(), HVAEConfig())
WITHOUT_QT = ("core", "models", "data", "engine")


def roots() -> list[type[Member]]:
    """The root of every family that any module defines."""
    for name in WITHOUT_QT:
        package = importlib.import_module(f"{diffusion_studio.__name__}.{name}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            importlib.import_module(module.name)
    package = f"{diffusion_studio.__name__}."
    return [root for root in Member.__subclasses__() if root.__module__.startswith(package)]


MEMBERS = [cls for root in roots() for cls in members(root).values()]


def test_that_every_family_can_be_chosen_from():
    """By the form, the command line and the pages that are made of these choices."""
    chosen = {root for choice in CHOICES for root in families(choice).values()}
    assert {root.__name__ for root in roots()} == {root.__name__ for root in chosen}


@pytest.mark.parametrize("root", roots(), ids=lambda root: root.__name__)
def test_that_every_member_has_a_name_of_its_own_in_a_family_with_a_name(root):
    assert root.family.strip()
    titles = [cls.title for cls in members(root).values()]
    assert len(set(titles)) == len(titles)


@pytest.mark.parametrize("cls", MEMBERS, ids=lambda cls: cls.__name__)
def test_that_every_member_of_every_family_is_described(cls):
    for text in (cls.title, cls.summary, cls.formula, cls.source):
        assert text.strip()
    for described in knobs(cls()):
        assert described.help.endswith(".") and described.title


@pytest.mark.parametrize("choice", CHOICES, ids=lambda choice: type(choice).__name__)
def test_that_the_parameters_of_every_member_can_be_listed(choice):
    listed = {knob.path.removesuffix(".kind") for knob in every_knob(choice)}
    for path, base in families(choice).items():
        for cls in members(base).values():
            assert {f"{path}.{name}" for name in cls.model_fields if name != "kind"} <= listed


def test_that_two_members_of_one_kind_are_a_fault():
    class Root(Member):
        """A family of two."""

    class One(Root):
        kind: Literal["twin"] = "twin"

    class Other(Root):
        kind: Literal["twin"] = "twin"

    assert {One, Other} == set(Root.__subclasses__())
    with pytest.raises(TypeError, match="both of the kind 'twin'"):
        members(Root)
