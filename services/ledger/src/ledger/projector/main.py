"""Puts the projector together."""

from functools import partial

from chassis.postgres import create_pool, opened
from chassis.service import Service, Work, run

from ledger.analytics.publishing import Publisher
from ledger.projections.catalog import PROJECTIONS
from ledger.projector.hearing import Hearing
from ledger.projector.lag import Lags
from ledger.projector.leading import Projector
from ledger.projector.request_days import RequestDays
from ledger.projector.settings import ProjectorSettings
from ledger.projector.snapshotting import Snapshots


def assemble(settings: ProjectorSettings) -> Service:
    """A projector that stops once the page that it writes is written."""
    pool = create_pool(settings.database_url, max_size=4, service="projector-beside")
    projector = Projector(settings.database_url, PROJECTIONS)
    snapshots = Snapshots(settings.database_url)
    lags = Lags(pool, PROJECTIONS, settings.projector_lag_seconds)
    publisher = Publisher(settings.database_url, settings.time_zone)
    days = RequestDays(pool, settings.retention)
    hearing = Hearing(settings, pool, days)
    return Service(
        settings=settings,
        port=settings.projector_port,
        checks={"projections": lags.why_not_ready},
        notes={"stuck": projector.why_stuck, **hearing.notes},
        parts=[
            opened(pool),
            Work(projector.run, stop=projector.stop),
            Work(snapshots.run, stop=snapshots.stop),
            Work(publisher.run, stop=publisher.stop),
            Work(lags.run, days.run),
            *hearing.parts,
        ],
    )


main = partial(run, "projector", ProjectorSettings, assemble)
