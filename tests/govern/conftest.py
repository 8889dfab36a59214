"""What the governor keeps is kept in either database."""

from tests.ledger.conftest import url as url
