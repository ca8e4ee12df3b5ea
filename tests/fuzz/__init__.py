"""Coverage-guided fuzzing of every codec that reads what strangers send.

Each harness takes any bytes and says, by assertions, what holds for them; an exception is a finding.
`python -m tests.fuzz NAME --seconds 60` looks for one with atheris (`nox -s fuzz` for all), beginning with what is
kept in `tests/data/corpus/NAME`; `test_corpus.py` tries all that is kept there with every run of the tests, and needs
no atheris.  `python -m tests.fuzz NAME --keep` puts the smallest inputs that reach all that was reached into it.
"""
