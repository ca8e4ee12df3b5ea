"""What a shared cache may store, and for how long."""

from typing import Final

from ..switch import Switch

_CACHE: Final = "tierkit.codecs.http_cache"
_TESTS: Final = "codecs/test_http_cache.py::"

GROUPS: Final[dict[str, list[Switch]]] = {
    "Whether an answer is stored": [
        Switch(
            rule="An answer with `no-store` is not stored",
            source="RFC 9111, 5.2.2.5",
            off={f"{_CACHE}:no_store": lambda answer: ""},
            tests=(f"{_TESTS}test_no_store",),
        ),
        Switch(
            rule="An answer to a request with `no-store` is not stored",
            source="RFC 9111, 5.2.1.5",
            off={f"{_CACHE}:no_store_asked": lambda answer: ""},
            tests=(f"{_TESTS}test_no_store_in_the_request",),
        ),
    ],
}
