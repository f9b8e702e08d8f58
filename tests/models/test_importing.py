"""Several threads of a fresh program may be the first to need a network at once."""

from __future__ import annotations

import subprocess
import sys

THREADS = """
import sys
sys.setswitchinterval(1e-5)
from threading import Barrier, Thread
import torch
from diffusion_studio.engine.loop.descent import Descent
from diffusion_studio.engine.runs.model_io import pipeline_json
from diffusion_studio.models.kl_autoencoder import build_kl
from diffusion_studio.models.unet import UNetSpec, build_unet

together, failed = Barrier(6), []

def network():
    build_unet(UNetSpec(width=8, multipliers=(1, 2)).resolved(8, False), 8, 1, 0)

def code():
    build_kl((1, 8, 8), 8, 4, 2, True)

def steps():
    layer = torch.nn.Linear(2, 2)
    Descent(layer, torch.nn.Linear(2, 2))

def at_once(work):
    together.wait()
    try:
        work()
    except Exception as error:
        failed.append(repr(error))

threads = [Thread(target=at_once, args=(work,)) for work in 2 * (network, code, steps)]
for thread in threads: thread.start()
for thread in threads: thread.join()
sys.exit("; ".join(failed) or 0)
"""


def test_that_networks_can_be_built_on_several_threads_at_once():
    found = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True)
    assert found.returncode == 0, found.stderr
