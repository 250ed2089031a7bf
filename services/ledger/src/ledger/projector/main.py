"""Puts the projector together."""

from datetime import timedelta
from functools import partial

from chassis.postgres import create_pool, opened
from chassis.server import serve
from chassis.service import Part, Service, Work, run
from starlette.types import ASGIApp

from ledger.analytics.publishing import Publisher
from ledger.projections.catalog import PROJECTIONS
from ledger.projector.hearing import Hearing
from ledger.projector.lag import Lags
from ledger.projector.leading import Projector
from ledger.projector.litellm_intake import LitellmIntake
from ledger.projector.reconciling import Reconciling
from ledger.projector.request_days import RequestDays
from ledger.projector.settings import ProjectorSettings
from ledger.projector.snapshotting import Snapshots


def assemble(settings: ProjectorSettings) -> Service:
    """A projector that stops once the page that it writes is written, and what LiteLLM tells is stored."""
    pool = create_pool(settings.database_url, max_size=4, service="projector-beside")
    told_pool = create_pool(settings.database_url, max_size=2, service="projector-litellm")
    projector = Projector(settings.database_url, PROJECTIONS)
    snapshots = Snapshots(settings.database_url)
    lags = Lags(pool, PROJECTIONS, settings.projector_lag_seconds)
    publisher = Publisher(settings.database_url, settings.time_zone)
    days = RequestDays(pool, settings.retention)
    hearing = Hearing(settings, pool, days)
    intake = LitellmIntake(told_pool, settings.callback_keys, kept=timedelta(days=settings.reconcile_keep_days))
    reconciling = Reconciling()

    def edge(health: ASGIApp) -> Part:
        return serve(intake.beside(health), settings.host, settings.projector_port)

    return Service(
        settings=settings,
        port=settings.projector_port,
        checks={"projections": lags.why_not_ready},
        notes={"stuck": projector.why_stuck, "reconciliation": reconciling.check, **hearing.notes},
        parts=[
            opened(pool),
            opened(told_pool),
            Work(projector.run, stop=projector.stop),
            Work(snapshots.run, stop=snapshots.stop),
            Work(publisher.run, stop=publisher.stop),
            Work(lags.run, days.run, *([reconciling.run] if settings.reconciles else [])),
            *hearing.parts,
        ],
        edge=edge,
    )


main = partial(run, "projector", ProjectorSettings, assemble)
