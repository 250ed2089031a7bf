"""All projections there are: one more is one more line."""

from typing import Final

from ledger.projections.outstanding import OUTSTANDING
from ledger.projections.projection import Projection
from ledger.projections.statement import STATEMENT
from ledger.projections.usage import USAGE

PROJECTIONS: Final[tuple[Projection, ...]] = (USAGE, OUTSTANDING, STATEMENT)
BY_NAME: Final = {projection.name: projection for projection in PROJECTIONS}
BY_VIEW: Final = {
    view: projection
    for projection in PROJECTIONS
    for shape in projection.shapes
    if (view := shape.view_of(projection.name)) is not None
}
"""By what is read of them: some show more than one view."""
