"""RULES.md from the catalogue."""

from itertools import groupby

from . import RULES
from .model import Kind, Rule

_HEAD = """\
# Rules of the simulator

Written by `python -m infra.simulator.rules --write`; a test keeps it equal to the catalogue in `rules/`.

{count} rules: {documented} documented by a public page, {reported} reported in public (issue, recording, shipping
client), {assumed} assumed (nobody has published them; the reason for the default stands in place of a source).
{knobs} have a knob as well (`PUT /_sim/knobs {{"name": value}}`), which chooses another behaviour that is reported or plausible.
Each rule has a switch that breaks it, `PUT /_sim/rules/{{id}} {{"broken": true}}`, and a check in `tests/conformance`
that turns red when it is broken.

A person with a tenant can ask the real service: `python -m infra.simulator.probe --help` (or `make probe-tenant ARGS=…`)
puts most of these rules as questions to a site of that tenant, through throw-away lists that it removes, and writes the
answers as files without tenant data. The others need the simulator's clock, people or budgets.
"""


def _source(rule: Rule) -> str:
    source = rule.source if rule.kind is Kind.ASSUMED else f"[{rule.kind}]({rule.source})"
    return f"{source} Knob `{rule.knob}`." if rule.knob else source


def _cell(text: str) -> str:
    return text.replace("|", "\\|")


def _row(rule: Rule) -> str:
    cells = (f"`{rule.id}`", rule.sentence, rule.kind.value, _source(rule), rule.broken)
    return "| " + " | ".join(_cell(cell) for cell in cells) + " |"


def render() -> str:
    """Give the text of RULES.md: one table per area, in the catalogue's order."""
    counts = {kind.value: sum(rule.kind is kind for rule in RULES) for kind in Kind}
    knobs = sum(bool(rule.knob) for rule in RULES)
    parts = [_HEAD.format(count=len(RULES), knobs=knobs, **counts)]
    for area, rules in groupby(RULES, key=lambda rule: rule.area):
        parts.append(f"## {area.capitalize() if area.islower() else area}\n")
        parts.append("| id | rule | kind | source or reason | broken: what happens instead |\n|---|---|---|---|---|")
        parts.append("\n".join(_row(rule) for rule in rules) + "\n")
    return "\n".join(parts)
