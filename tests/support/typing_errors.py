"""What an operator may mistype: command lines that are each wrong in one place, and what they must not change."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

import asyncpg
from chassis.operate.verbs import Verbs
from typer.core import TyperGroup
from typer.main import get_command

NO_NUMBERS: Final = (
    *("-1", "-0", "1.5", "7.0", "1e6", "1_000", "1.000", "74,90", "R$ 74", "+7", "٣", " 7", "7k", "0x7", "NaN", "inf"),
    *(str(2**53 + 1), "9" * 400),
)
NO_REASONS: Final = (" ", "\t\n", "x" * 501, "half a pair: \udcff", "a zero \x00")
NO_KEYS: Final = (" ", "k" * 129, "half a pair: \udcff")


@dataclass(frozen=True, kw_only=True)
class TypingErrors:
    """Of a service's verbs: what each `needed`, typed right, what else it takes, and what is no right value of what
    (`verb option` where another verb has an option of that name).

    `harmless` are options that make nothing right, and change nothing, beside another that is wrong.
    """

    needed: Mapping[str, Mapping[str, str]]
    optional: Mapping[str, tuple[str, ...]]
    wrong: Mapping[str, tuple[str, ...]]
    harmless: Mapping[str, str] = field(default_factory=dict)

    def of(self, verb: str) -> Iterator[list[str]]:
        """Command lines of one verb, each wrong in one place."""
        needed, names = self.needed[verb], self.options(verb)
        for name in needed:
            yield words_of(verb, {other: value for other, value in needed.items() if other != name})
        for name in names:
            yield words_of(verb, {**needed, name: ""})
            for value in self.wrong.get(f"{verb} {name}", ()) or self.wrong[name]:
                yield words_of(verb, {**needed, name: value})
                if self.harmless and {*self.harmless} <= {*names} - {name}:
                    yield words_of(verb, {**needed, name: value, **self.harmless})
        yield [*words_of(verb, needed), "--tokns=7"]
        yield [*words_of(verb, needed), "surplus"]
        yield words_of(verb[:-1], needed)

    def options(self, verb: str) -> tuple[str, ...]:
        """All that are mistyped of the verb."""
        return (*self.needed[verb], *self.optional.get(verb, ()))

    def left_out(self, verbs: Verbs) -> set[str]:
        """Verbs, and options of theirs, that nobody mistypes here."""
        group = get_command(verbs.commands([]))
        assert isinstance(group, TyperGroup)
        found = {*group.commands} ^ {*self.needed}
        for verb, command in group.commands.items():
            typed = {f"--{name}" for name in self.options(verb)} | {"--help"}
            found |= {f"{verb} {each.name}" for each in command.params if not typed & {*each.opts}}
        return found


def words_of(verb: str, options: Mapping[str, str]) -> list[str]:
    return [verb, *(f"--{name}={value}" for name, value in options.items())]


async def everything(url: str, schema: str) -> dict[str, str]:
    """A digest of the rows of every table of the schema."""
    connection = await asyncpg.connect(url, timeout=10)
    try:
        tables = await connection.fetch("SELECT tablename FROM pg_tables WHERE schemaname = $1", schema)
        rows = "SELECT count(*) || ' ' || coalesce(md5(string_agg(t::text, ',' ORDER BY t::text)), '')"
        return {name: await connection.fetchval(f'{rows} FROM {schema}."{name}" AS t') for (name,) in tables}
    finally:
        await connection.close()
