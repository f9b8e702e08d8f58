"""Forward processes: how image and noise are mixed, one file each.

Every module in this folder is read, so a process is one new file; its `rank` is its place in the menus.
"""

from __future__ import annotations

import importlib
import pkgutil
from typing import Annotated

from diffusion_studio.core.describe import OneOf
from diffusion_studio.core.process.forward.base import ForwardProcess, missed_end, tables_under
from diffusion_studio.core.process.forward.variance_preserving import VariancePreserving

__all__ = ["AnyForwardProcess", "ForwardProcess", "VariancePreserving", "missed_end", "tables_under"]

for _module in pkgutil.iter_modules(__path__, f"{__name__}."):
    importlib.import_module(_module.name)

AnyForwardProcess = Annotated[ForwardProcess, OneOf()]
