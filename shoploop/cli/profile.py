"""``shoploop profile``: what a version knows of one user, for a person or as JSON."""

from dataclasses import asdict

from rich.table import Table

from shoploop.cli import output
from shoploop.store import Store

SHOWN = 10


def show_profile(store: Store, name: str, *, user: str, json_: str | None) -> None:
    """Prints the profile that the promoted version has of a user.

    Raises:
        NotFound: no such recommender, or nothing is promoted.
    """
    from shoploop.packaging.local_setup import packaged_ranker
    from shoploop.ranking.profile import Habit, profile
    from shoploop.ranking.ranker import Ranker
    from shoploop.ranking.reasons import ago, in_days

    found = profile(Ranker.load(packaged_ranker(store, name)).known, user)
    if json_ is not None:
        output.write_json(asdict(found), json_)
        return
    console = output.console()
    if not found.known:
        console.print(f"{name} {found.version} knows of no purchase by {user}. They get what is popular.")
        return
    every = "" if found.every_days is None else f", every {in_days(max(round(found.every_days), 1))}"
    console.print(f"User      {found.user}, as of {found.as_of}")
    console.print(f"Visits    {found.visits}{every}, from {found.first} to {found.last}")
    console.print(
        f"Buys      {found.items_a_visit:.1f} items a visit, {found.different_items} different ones; "
        f"{found.repeat_share:.0%} of it again"
    )
    if found.usual_shop:
        console.print(f"Shop      mostly {found.usual_shop}")

    def table(title: str, habits: tuple[Habit, ...]) -> Table:
        rows = Table(title=title, title_justify="left", box=None)
        for column in ("item", "times", "every", "last", "next"):
            rows.add_column(column)
        for habit in habits[:SHOWN]:
            rows.add_row(
                habit.title or habit.item,
                str(habit.times),
                "" if habit.every_days is None else in_days(max(round(habit.every_days), 1)),
                ago(habit.last_days_ago),
                _next(habit.due_in_days),
            )
        return rows

    console.print(table("Buys most often", found.habits))
    if found.due:
        console.print(table("Is due", found.due))
    if found.kinds:
        kinds = Table(title="Kinds", title_justify="left", box=None)
        kinds.add_column("category")
        kinds.add_column("share", justify="right")
        for kind in found.kinds[:SHOWN]:
            kinds.add_row(" · ".join(kind.category), f"{kind.share:.0%}")
        console.print(kinds)


def _next(due_in_days: float | None) -> str:
    if due_in_days is None:
        return ""
    days = round(due_in_days)
    if days > 0:
        return "tomorrow" if days == 1 else f"in {days} days"
    return "today" if days == 0 else f"{-days} {'day' if days == -1 else 'days'} overdue"
