"""`python -m gateway`."""

import uvloop

from gateway.main import main

uvloop.run(main())
