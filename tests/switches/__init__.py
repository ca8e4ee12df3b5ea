"""Every rule of the HTTP edge and of RTMP, switched off one at a time: without it a test must fail.

A test that passes whether its rule is there or not protects nobody.  Each `Switch` says what holds, where that comes
from, what is put in its place and which tests must then fail.  `python -m tests.switches [words]` tries those whose
description has the words; `test_switches.py` tries all.
"""
