"""`doctor`: what this machine has, and what is missing."""

from __future__ import annotations

import typer

from diffusion_studio.cli.options import plain_app
from diffusion_studio.cli.sentences import tell
from diffusion_studio.engine.machine.doctor import diagnose, report

app = plain_app()


@app.command()
def doctor() -> None:
    """Show versions, devices and missing libraries, and what to do about each."""
    findings = diagnose()
    tell(report(findings))
    if not all(finding.ok for finding in findings):
        raise typer.Exit(1)
