"""Any interleaving of commands, repetitions and time, as `AccountMachine` draws them."""

import pytest

from tests.unit.ledger.account_machine import AccountMachine

# Hypothesis needs more than the suite's usual time to make a failure of the thorough profile small.
TestAccountMachine = pytest.mark.timeout(1_800)(AccountMachine.TestCase)
