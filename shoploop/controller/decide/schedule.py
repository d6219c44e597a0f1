"""When a cron schedule fires; pure."""

from datetime import datetime
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from cronsim import CronSim, CronSimError

from shoploop.api.v1alpha1 import ScheduleSpec
from shoploop.errors import SpecInvalid


def last_slot(schedule: ScheduleSpec, now: datetime) -> datetime | None:
    """The latest time at or before ``now`` when it fired.

    Raises:
        SpecInvalid: the schedule can never fire; the message says why.
    """
    return _slot(schedule, now, reverse=True)


def next_slot(schedule: ScheduleSpec, now: datetime) -> datetime | None:
    """The first time after ``now`` when it fires.

    Raises:
        SpecInvalid: the schedule can never fire; the message says why.
    """
    return _slot(schedule, now, reverse=False)


def _slot(schedule: ScheduleSpec, now: datetime, *, reverse: bool) -> datetime | None:
    try:
        local = now.astimezone(ZoneInfo(schedule.time_zone)).replace(microsecond=0)
    except (ZoneInfoNotFoundError, ValueError) as error:
        raise SpecInvalid(f"there is no time zone {schedule.time_zone!r}") from error
    try:
        slot = next(CronSim(schedule.cron, local, reverse=reverse))
    except CronSimError as error:
        raise SpecInvalid(str(error)[0].lower() + str(error)[1:]) from error
    except StopIteration:
        raise SpecInvalid("no calendar has such a day") from None
    return slot.astimezone(now.tzinfo)
