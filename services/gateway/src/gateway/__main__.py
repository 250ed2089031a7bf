"""`python -m gateway`."""

from chassis.server import run

from gateway.main import main

run(main())
