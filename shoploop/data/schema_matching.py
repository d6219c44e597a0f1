"""Which column of a foreign table is which canonical one, by their names and by what they hold: the surest match first.

It looks at one table alone; what other tables say of it, and what a person does, it is given.
"""

from collections.abc import Iterable, Mapping, Sequence

from shoploop.data.column import HELD, LIKELY, TOKEN, Column, may_be, worth_of_content, worth_of_name
from shoploop.data.column_names import LINE_NUMBERS, NAMES
from shoploop.data.dependence import follows
from shoploop.data.proposals import EVENT_COLUMNS, Proposal
from shoploop.data.time_column import likeliest_time, with_its_clock


def match_log(columns: Sequence[Column], given: Mapping[str, Proposal], *, headerless: bool) -> dict[str, Proposal]:
    """Proposals for a log. Words that nobody knows, under a name that leaves a doubt, are no kinds: another column may be."""
    by_name = {column.name: column for column in columns}
    no_kinds: frozenset[str] = frozenset()
    while True:
        found = match_columns(columns, EVENT_COLUMNS, given, headerless=headerless, no_kinds=no_kinds)
        kind = found.get("kind")
        if kind is None or kind.sure or not by_name[kind.columns[0]].strange:
            return found
        # a part of a name is never sure: all of these at once, of which a log may have hundreds
        parts = [c.name for c in columns if worth_of_name("kind", c) == TOKEN and may_be("kind", c) and c.strange]
        no_kinds |= {*kind.columns, *parts}


def match_columns(
    columns: Sequence[Column],
    roles: Iterable[str],
    given: Mapping[str, Proposal],
    *,
    headerless: bool,
    no_kinds: frozenset[str] = frozenset(),
) -> dict[str, Proposal]:
    """The best column for each meaning, the surest first; a column means one thing, and ``no_kinds`` not the kind."""
    found, taken = dict(given), {name for proposal in given.values() for name in proposal.columns}
    roles = list(roles)
    scored = [
        (-score, place, number, role, column, "by its name")
        for place, role in enumerate(roles)
        for number, column in enumerate(columns)
        if (score := 0.0 if headerless else _worth(role, column))
        and may_be(role, column)
        and not (role == "kind" and column.name in no_kinds)
    ]
    scored += [
        # where nothing is named, who and what come before how much it was liked
        (-score, roles.index(role), -number if role == "rating" else number, role, column, "by what it holds")
        for number, column in enumerate(columns)
        for role, score in worth_of_content(column, headerless=headerless)
        if role in roles
    ]
    for worth, _, _, role, column, why in sorted(scored, key=lambda entry: entry[:3]):
        if role in found or column.name in taken:
            continue
        others = [(w, c.name) for w, _, _, r, c, _ in scored if r == role and c is not column and c.name not in taken]
        rivals = sorted({name for w, name in others if w <= worth})
        sure = -worth >= LIKELY and not rivals
        doubt = f"; so may {' and '.join(rivals)}" if rivals else ""
        found[role] = Proposal(columns=(column.name,), sure=sure, why=why + doubt)
        taken.add(column.name)
    named = "title" in roles and not headerless
    if named and "title" not in found and "item" in found:
        _name_of_the_thing(columns, roles, found, taken)
    _rest(columns, roles, found, taken | no_kinds)
    if named and "title" not in found and "item" in found:  # an id that no name told
        _name_of_the_thing(columns, roles, found, {name for one in found.values() for name in one.columns})
    if "time" in found and "time" not in given:
        elsewhere = {name for role, one in found.items() if role != "time" for name in one.columns}
        dates: dict[str, float] = {}
        for score, _, _, role, column, _ in scored:
            if role == "time" and -score >= HELD and column.name not in elsewhere:
                dates[column.name] = max(-score, dates.get(column.name, 0.0))
        if not found["time"].sure:
            found["time"] = likeliest_time(columns, found, dates)
        found["time"] = with_its_clock(columns, found["time"], dates)
    return {role: found[role] for role in roles if role in found}


def _worth(role: str, column: Column) -> float:
    """What a name says; one with another meaning says less where few values fill the table, as types of items do."""
    worth = worth_of_name(role, column)
    doubtful = role in ("user", "item") and 0 < worth <= LIKELY
    return worth - 0.5 if doubtful and column.few else worth


NAMING = frozenset("name title titel bezeichnung titre titulo titolo nom nombre nome naam nazwa".split())
"""What a name of names begins or ends with: dish_name, nombre_plato."""


def _name_of_the_thing(
    columns: Sequence[Column], roles: Sequence[str], found: dict[str, Proposal], taken: set[str]
) -> None:
    """The name of what the item's id is of, as dish_name beside dish_id; in a table of items also its only name."""
    item = next(c for c in columns if c.name == found["item"].columns[0])
    whose: dict[str, Column] = {}
    for column in columns:
        ends = {column.tokens[0], column.tokens[-1]} & NAMING
        if column.name in taken or len(column.tokens) < 2 or not ends or column.clock or not may_be("title", column):
            continue
        whose["".join(word for word in column.tokens if word not in ends)] = column
    if item.stem in whose:
        title, sure, why = whose[item.stem], True, f"it names what {item.name} is of"
    elif "time" in roles or len(whose) != 1:
        return
    else:
        ((thing, title),) = whose.items()
        others = " ".join(part for role in ("user", "shop", "brand", "category") for part in NAMES[role])
        if thing in others.split() or title.distinct * 2 < title.values.len() - title.values.null_count():
            return
        sure, why = False, "it is the only name in the table"
    found["title"] = Proposal(columns=(title.name,), sure=sure, why=why)
    taken.add(title.name)


def _rest(columns: Sequence[Column], roles: Sequence[str], found: dict[str, Proposal], taken: set[str]) -> None:
    """Users and items that no name tells: of what looks like ids the first is the user.

    Neither is what counts lines, says yes or no or has few values, nor what follows from the other of the two or the other
    way round, as a copy and its book do; unless there is nothing else.
    """
    for role in ("user", "item"):
        if role not in roles or role in found:
            continue
        left = [c for c in columns if c.name not in taken and may_be(role, c) and not c.clock]
        if "time" in roles:  # of a log: what is another one in every row numbers its rows
            some = [c for c in left if c.distinct < c.values.len() - c.values.null_count()]
            left = some if len(some) >= sum(r in roles and r not in found for r in ("user", "item")) else left
        other = found.get("item" if role == "user" else "user")
        beside = next((c.values for c in columns if other and c.name == other.columns[0]), None)
        left = [c for c in left if c.word not in LINE_NUMBERS] or left
        left = [c for c in left if not c.flag] or left
        left = [c for c in left if not c.few] or left
        if beside is not None and left:
            # numbers of ten digits may be seconds since 1970, and may be ids where another column says when
            dates = [c for c in columns if c.name not in taken and c.clock == "number" and "time" in found]
            dates = [c for c in dates if may_be(role, c) and c.distinct * 2 < c.values.len()]
            apart = (c for c in left + dates if not (follows(c.values, beside) or follows(beside, c.values)))
            left = [next(apart, left[0])]
        if left:
            found[role] = Proposal(columns=(left[0].name,), sure=False, why="it looks like ids; no name says whose")
            taken.add(left[0].name)


def with_levels(columns: Sequence[Column], found: Mapping[str, Proposal]) -> Proposal:
    """The category by all of its levels, widest first, where several columns are called so."""
    taken = {name for role, one in found.items() if role != "category" for name in one.columns}
    levels = [
        c for c in columns if c.name not in taken and not c.nested and c.distinct >= 2 and worth_of_name("category", c)
    ]
    levels = [c for c in levels if c.numbers is None] or levels[:1]
    if len(levels) < 2:
        return found["category"]
    ordered = sorted(levels, key=lambda c: c.distinct)
    counts = " > ".join(f"{c.distinct:,}" for c in ordered)
    return Proposal(
        columns=tuple(c.name for c in ordered), sure=False, why=f"by their names, widest first: {counts} different"
    )
