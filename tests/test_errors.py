import pickle

import pytest

from mlray import errors
from mlray.errors import Mistake, MlrayError, SpecError

TREE = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, MlrayError)]


@pytest.mark.parametrize("kind", TREE)
def test_every_error_survives_the_way_back_from_a_worker(kind: type[MlrayError]):
    back = pickle.loads(pickle.dumps(kind("flights is absent", hint="run mlray ingest")))
    assert type(back) is kind
    assert (back.message, back.hint, str(back)) == ("flights is absent", "run mlray ingest", "flights is absent\n  run mlray ingest")


def test_the_drawing_at_the_top_holds_every_error_with_its_exit_code():
    drawn = dict(line.split("  ", 1) for line in (text.strip(" |`-") for text in str(errors.__doc__).splitlines()) if "Error  " in line)
    assert {name: int(rest.split()[0]) for name, rest in drawn.items()} == {kind.__name__: kind.exit_code for kind in TREE}


def test_a_mistake_says_where_which_field_what_and_what_instead():
    mistake = Mistake("jobs/tune.yaml", 7, "trials.most", "0", "write at least 1")
    assert str(mistake) == "jobs/tune.yaml:7: trials.most: 0: write at least 1"
    error = pickle.loads(pickle.dumps(SpecError.listing((mistake, mistake))))
    assert error.mistakes == (mistake, mistake) and str(error).count("\n") == 1
