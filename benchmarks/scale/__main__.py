"""Print the plan as tables in Markdown: ``python -m benchmarks.scale [--gifts N] [--viewers N] [--measure] …``."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Iterable, Iterator, Sequence

from benchmarks.scale import on_cluster
from benchmarks.scale.inputs import Inputs, sources
from benchmarks.scale.measure import measure
from benchmarks.scale.plan import Plan, limits, memory, needed, network, plan, settings


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: Iterable[int] = ()) -> str:
    """In Markdown; columns in ``right`` are numbers."""
    rule = ["---:" if place in tuple(right) else "---" for place in range(len(heads))]
    return "\n".join("| " + " | ".join(row) + " |" for row in (heads, rule, *rows))


def number(value: float) -> str:
    return f"{value:,.0f}" if value >= 1000 else f"{value:.3g}"


def render(of: Plan) -> Iterator[str]:
    """The tables, each after its title."""
    yield "**Needed**\n\n" + table(("what", "how much", "by"), needed(of), [1])
    yield "**Memory**\n\n" + table(("what", "how much", "by"), memory(of), [1])
    yield "**Network**\n\n" + table(("what", "how much", "by"), network(of), [1])
    rows = ((one.what, *_use(one.asked, one.most, one.unit), f"{one.used:.0%}", one.help) for one in limits(of))
    yield "**What breaks first**\n\n" + table(("what", "asked", "at most", "used", "what helps"), rows, [1, 2, 3])
    heads = ("partitions", "pause", "in a call", "nodes", "ack waits", "master µs per gift", "for rounds", "masters")
    yield "**Partitions and pause**\n\n" + table(heads, settings(of.inputs), range(8))
    values = (
        (f"`--{name.replace('_', '-')}`", number(getattr(of.inputs, name)), source.unit, source.text, source.origin)
        for name, _, source in sources()
    )
    yield "**Inputs**\n\n" + table(("flag", "value", "unit", "what", "from"), values, [1])


def _use(asked: float, most: float, unit: str) -> tuple[str, str]:
    if unit == "B/s":
        return f"{asked * 8 / 1e9:.2f} Gbit/s", f"{most * 8 / 1e9:.2f} Gbit/s"
    return f"{number(asked)} {unit}", f"{number(most)} {unit}"


def document(of: Inputs) -> str:
    return "\n\n".join(render(plan(of)))


def main(arguments: Sequence[str] | None = None) -> None:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.scale", description="What millions take.")
    parser.add_argument("--measure", action="store_true", help="Measure the inputs that say so, print them.")
    parser.add_argument("--measure-cluster", action="store_true", help="The same of those that a cluster tells.")
    for name, value, source in sources():
        text = f"{source.text}, {source.unit or 'number'}; {source.origin}".replace("%", "%%")
        parser.add_argument(f"--{name.replace('_', '-')}", type=float, default=value, help=text)
    options = vars(parser.parse_args(arguments))
    for asked, found in ((options.pop("measure"), measure), (options.pop("measure_cluster"), on_cluster.measure)):
        if asked:
            print(table(("input", "measured"), ((name, f"{value:.3g}") for name, value in asyncio.run(found()))))
            return
    print(document(Inputs(**options)))


if __name__ == "__main__":
    main()
