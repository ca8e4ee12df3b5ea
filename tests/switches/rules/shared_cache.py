"""What a shared cache may store, serve, update and send on: RFC 9111, 9110, 5861, 9213, 9211."""

import re
from email.utils import parsedate_to_datetime
from types import SimpleNamespace
from typing import Any, Final

from attrs import evolve

from tierkit.codecs.cache_status import Fwd
from tierkit.codecs.http_conditional import EntityTag
from tierkit.codecs.http_fields import delta_seconds, directives, first, parse_date
from tierkit.codecs.http_forward import forwarded
from tierkit.codecs.http_lifetime import age_value, control_of
from tierkit.codecs.http_reuse import fresh_enough, request_directives, young_enough
from tierkit.codecs.http_update import NOT_UPDATED, HeadEffect
from tierkit.plugin import NotShared
from tierkit.plugins.hls._fetch import Fetcher, OtherVersion
from tierkit.plugins.hls._parts import whole

from ..switch import Switch

_CONFIRM: Any = Fetcher._confirm


def _for_nobody(self: Any, filler: Any, asked: Any, response: Any) -> None:
    """A 304 that is about something else leaves each to himself."""
    try:
        _CONFIRM(self, filler, asked, response)
    except OtherVersion as error:
        raise NotShared(str(error)) from None


def _any_date(value: bytes, now: float) -> int | None:
    """A date as readers of mail take it."""
    try:
        return int(parsedate_to_datetime(value.decode("latin-1")).timestamp())
    except (ValueError, OverflowError):
        return None


GROUPS: Final[dict[str, list[Switch]]] = {
    "What is stored at all": [
        Switch(
            rule="Only answers to GET are stored",
            source="RFC 9111, 3",
            off={"tierkit.codecs.http_cache:not_a_get": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_only_get_is_stored",),
        ),
        Switch(
            rule="The answer to a GET with a body is nobody else's",
            source="fat GET",
            off={"tierkit.codecs.http_cache:fat": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_a_get_with_a_body_is_not_stored",),
        ),
        Switch(
            rule="An answer that is not final is not stored",
            source="RFC 9111, 3",
            off={"tierkit.codecs.http_cache:not_final": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_what_is_not_final_is_not_stored",),
        ),
        Switch(
            rule="Parts and validations are not stored as if they were whole",
            source="RFC 9111, 3.3 and 4.3.4",
            off={"tierkit.codecs.http_cache:not_whole": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_parts_and_validations_are_not_stored_as_wholes",),
        ),
        Switch(
            rule="Status codes that must not be stored, or answer one request, are not stored",
            source="RFC 6585, 3 to 6",
            off={"tierkit.codecs.http_cache:not_for_others": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_what_answers_one_request_is_not_stored",),
        ),
        Switch(
            rule="An error that a hostile request provokes is stored for nobody",
            source="CPDoS, CCS 2019",
            off={"tierkit.codecs.http_cache:provoked": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_errors_that_a_request_provokes_are_not_stored",),
        ),
        Switch(
            rule="must-understand keeps an unknown status out of the store",
            source="RFC 9111, 5.2.2.3",
            off={"tierkit.codecs.http_cache:not_understood": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_must_understand",),
        ),
        Switch(
            rule="no-store is heeded",
            source="RFC 9111, 5.2.2.5",
            off={"tierkit.codecs.http_cache:no_store": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_no_store",),
        ),
        Switch(
            rule="no-store beside a must-understand that is understood is not heeded",
            source="RFC 9111, 5.2.2.3",
            off={
                "tierkit.codecs.http_cache:no_store": lambda answer: "no-store" if "no-store" in answer.control else ""
            },
            tests=("codecs/test_http_cache.py::test_must_understand",),
        ),
        Switch(
            rule="no-store in a request is heeded",
            source="RFC 9111, 5.2.1.5",
            off={"tierkit.codecs.http_cache:no_store_asked": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_no_store_in_the_request",),
        ),
        Switch(
            rule="private is for one user",
            source="RFC 9111, 5.2.2.7",
            off={"tierkit.codecs.http_cache:private": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_private",),
        ),
        Switch(
            rule="private with field names is for all but those fields",
            source="RFC 9111, 5.2.2.7",
            off={"tierkit.codecs.http_cache:private": lambda answer: "private" if "private" in answer.control else ""},
            tests=("codecs/test_http_cache.py::test_private_with_fields_shares_the_rest",),
        ),
        Switch(
            rule="An answer to credentials is shared only where the origin says so",
            source="RFC 9111, 3.5",
            off={"tierkit.codecs.http_cache:authorized": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_authorization_is_not_shared",),
        ),
        Switch(
            rule="public, s-maxage and must-revalidate allow to share an answer to credentials",
            source="RFC 9111, 3.5",
            off={
                "tierkit.codecs.http_cache:authorized": lambda answer: (
                    "Authorization" if first(answer.request, b"authorization") is not None else ""
                )
            },
            tests=("codecs/test_http_cache.py::test_authorization_is_shared_where_the_origin_says_so",),
        ),
        Switch(
            rule="An answer that sets a cookie is not shared",
            source="session fixation at shared caches",
            off={"tierkit.codecs.http_cache:cookie": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_cookies_are_not_shared",),
        ),
        Switch(
            rule="What varies by anything is nobody else's",
            source="RFC 9111, 4.1",
            off={"tierkit.codecs.http_cache:vary_star": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_vary_on_anything",),
        ),
        Switch(
            rule="Without a word of the origin only some status codes are stored",
            source="RFC 9111, 3",
            off={"tierkit.codecs.http_cache:not_cacheable": lambda answer: ""},
            tests=("codecs/test_http_cache.py::test_heuristics_for_what_is_public",),
        ),
        Switch(
            rule="Fields named by private and no-cache are dropped before an answer is stored",
            source="RFC 9111, 5.2.2.4 and 5.2.2.7",
            off={"tierkit.codecs.http_cache:withheld": lambda control, headers, policy: frozenset()},
            tests=(
                "codecs/test_http_cache.py::test_no_cache_with_fields_withholds_them",
                "plugins/test_hls_plain.py::test_who_joins_a_fetch_gets_nothing_of_the_one_who_began_it",
            ),
        ),
        Switch(
            rule="Fields that others do not get go to the one who asked",
            source="RFC 9111, 5.2.2.4 and 5.2.2.7",
            off={"tierkit.plugins.hls._fetch:Fetcher._withhold": lambda self, asked, lifetime, headers: None},
            tests=("plugins/test_hls_plain.py::test_what_is_withheld_from_others_goes_to_the_one_who_asked",),
        ),
        Switch(
            rule="no-cache with field names is for those fields alone",
            source="RFC 9111, 5.2.2.4",
            off={"tierkit.codecs.http_cache:always_asks": lambda answer: "no-cache" in answer.control},
            tests=("codecs/test_http_cache.py::test_no_cache_with_fields_withholds_them",),
        ),
        Switch(
            rule="A missing Date is the time of arrival",
            source="RFC 9110, 6.6.1",
            off={
                "tierkit.codecs.http_forward:stored_fields": lambda headers, *, now, strip=frozenset(): [
                    each for each in forwarded(headers) if each[0] not in strip and each[0] != b"age"
                ]
            },
            tests=("codecs/test_http_cache_forward.py::test_a_missing_date_is_added",),
        ),
        Switch(
            rule="The Age that an answer came with is not stored",
            source="RFC 9111, 5.1",
            off={
                "tierkit.codecs.http_forward:stored_fields": lambda headers, *, now, strip=frozenset(): [
                    each for each in forwarded([*headers, (b"date", b"")]) if each[0] not in strip
                ]
            },
            tests=("codecs/test_http_cache_forward.py::test_what_is_stored",),
        ),
        Switch(
            rule="A bare no-cache means to ask each time",
            source="RFC 9111, 5.2.2.4",
            off={"tierkit.codecs.http_cache:always_asks": lambda answer: False},
            tests=("codecs/test_http_cache.py::test_no_cache_is_kept_but_always_asked_about",),
        ),
        Switch(
            rule="Pragma: no-cache of an answer counts where nothing else is said",
            source="RFC 9111, 5.4",
            off={"tierkit.codecs.http_cache:always_asks": lambda answer: answer.control.get("no-cache") == ""},
            tests=("codecs/test_http_cache.py::test_pragma_counts_where_there_is_no_cache_control",),
        ),
        Switch(
            rule="must-revalidate, proxy-revalidate and s-maxage forbid staleness",
            source="RFC 9111, 4.2.4",
            off={"tierkit.codecs.http_cache:forbids_stale": lambda control, policy: False},
            tests=("codecs/test_http_cache.py::test_staleness_that_the_operator_allows",),
        ),
        Switch(
            rule="proxy-revalidate counts as must-revalidate",
            source="RFC 9111, 5.2.2.8",
            off={
                "tierkit.codecs.http_cache:forbids_stale": lambda control, policy: (
                    "must-revalidate" in control or "s-maxage" in control
                )
            },
            tests=("codecs/test_http_cache.py::test_s_maxage_may_be_read_as_a_lifetime_alone",),
        ),
        Switch(
            rule="Heuristics give no lifetime unless they are asked for",
            source="RFC 9111, 4.2.2",
            off={
                "tierkit.codecs.http_cache:freshness": lambda answer, now: float(
                    answer.control.get("s-maxage", answer.control.get("max-age", 60)) or 0
                )
            },
            tests=("codecs/test_http_cache.py::test_a_huge_lifetime_is_cut",),
        ),
    ],
    "How long it is fresh": [
        Switch(
            rule="Age that an answer arrives with counts",
            source="RFC 9111, 4.2.3; nginx loses it",
            off={"tierkit.codecs.http_lifetime:age_value": lambda headers: 0},
            tests=(
                "codecs/test_http_cache_lifetime.py::test_age_counts_against_a_targeted_lifetime",
                "plugins/test_hls_plain.py::test_age_counts_across_two_tiers",
            ),
        ),
        Switch(
            rule="Of several Age fields the first counts, and what is no number is 0",
            source="RFC 9111, 5.1",
            off={
                "tierkit.codecs.http_lifetime:age_value": lambda headers: (
                    delta_seconds((first(headers, b"age") or b"0").split(b",")[-1].strip()) or 0
                )
            },
            tests=("codecs/test_http_cache_lifetime.py::test_age_is_read_strictly_and_the_first_counts",),
        ),
        Switch(
            rule="The time that upstream took counts as age",
            source="RFC 9111, 4.2.3",
            off={"tierkit.codecs.http_lifetime:initial_age": lambda headers, now, delay=0.0: float(age_value(headers))},
            tests=("codecs/test_http_cache_lifetime.py::test_of_two_dates_the_first_counts",),
        ),
        Switch(
            rule="A Date in the past is age",
            source="RFC 9111, 4.2.3",
            off={"tierkit.codecs.http_lifetime:apparent_age": lambda headers, now: 0.0},
            tests=("codecs/test_http_cache_lifetime.py::test_an_old_date_overflows_to_the_bound",),
        ),
        Switch(
            rule="Age is sent as whole seconds within what others can read",
            source="RFC 9111, 5.1",
            off={"tierkit.codecs.http_lifetime:age_field": lambda age: b"%d" % age},
            tests=("codecs/test_http_cache_lifetime.py::test_age_is_sent_in_whole_seconds",),
        ),
        Switch(
            rule="s-maxage comes before max-age, and max-age before Expires",
            source="RFC 9111, 4.2.1",
            off={
                "tierkit.codecs.http_lifetime:explicit_lifetime": lambda control, headers, now, *, targeted=False: (
                    None if delta_seconds(control.get("max-age", "").encode()) is None else float(control["max-age"])
                )
            },
            tests=("codecs/test_http_cache_lifetime.py::test_a_far_expires_is_cut",),
        ),
        Switch(
            rule="Expires counts from the answer's own Date",
            source="RFC 9111, 5.3",
            off={"tierkit.codecs.http_lifetime:_expires": lambda headers, now: None},
            tests=("codecs/test_http_cache_lifetime.py::test_a_far_expires_is_cut",),
        ),
        Switch(
            rule="An Expires that is no date is the past",
            source="RFC 9111, 5.3",
            off={
                "tierkit.codecs.http_lifetime:_expires": lambda headers, now: (
                    None
                    if (ends := parse_date(first(headers, b"expires") or b"", now)) is None
                    else max(0.0, ends - (parse_date(first(headers, b"date") or b"", now) or now))
                )
            },
            tests=("codecs/test_http_cache_lifetime.py::test_an_invalid_expires_is_the_past",),
        ),
        Switch(
            rule="Of two Expires the first counts",
            source="RFC 9111, 4.2.1",
            off={
                "tierkit.codecs.http_lifetime:first": lambda headers, name: next(
                    (value for key, value in reversed(headers) if key == name), None
                )
            },
            tests=("codecs/test_http_cache_lifetime.py::test_of_two_expires_the_first_counts",),
        ),
        Switch(
            rule="A lifetime that is no number is 0",
            source="RFC 9111, 4.2.1",
            off={
                "tierkit.codecs.http_lifetime:seconds": lambda control, name: (
                    delta_seconds(control[name].encode("latin-1", "replace")) if name in control else None
                )
            },
            tests=("codecs/test_http_cache.py::test_a_malformed_lifetime_is_staleness",),
        ),
        Switch(
            rule="A targeted field takes the place of Cache-Control",
            source="RFC 9213, 2.2",
            off={"tierkit.codecs.http_lifetime:control_of": lambda headers, targets=(): (directives(headers), False)},
            tests=("codecs/test_http_cache_lifetime.py::test_what_a_targeted_field_may_say",),
        ),
        Switch(
            rule="Tierkit-Cache-Control comes before CDN-Cache-Control",
            source="RFC 9213, 2.2",
            off={
                "tierkit.codecs.http_lifetime:control_of": lambda headers, targets=(): control_of(
                    headers, (b"cdn-cache-control",)
                )
            },
            tests=("codecs/test_http_cache_lifetime.py::test_the_closest_target_rules",),
        ),
        Switch(
            rule="A directive of a targeted field is never taken for another type",
            source="RFC 9213, 2.1",
            off={"tierkit.codecs.http_lifetime:_is_of_its_type": lambda name, value: True},
            tests=("codecs/test_http_cache_lifetime.py::test_an_unreadable_targeted_field_is_not_there",),
        ),
        Switch(
            rule="A heuristic lifetime is bounded",
            source="RFC 9111, 4.2.2",
            off={"tierkit.codecs.http_lifetime:heuristic_lifetime": lambda headers, now, share, most: 1e9 * share},
            tests=("codecs/test_http_cache.py::test_heuristics_are_bounded_and_give_way",),
        ),
    ],
    "What is served from store": [
        Switch(
            rule="What is stale is not fresh",
            source="RFC 9111, 4.2",
            off={"tierkit.codecs.http_reuse:is_fresh": lambda lifetime, age: not lifetime.no_cache},
            tests=(
                "codecs/test_http_cache_reuse.py::test_must_revalidate_forbids_staleness_whatever_else_is_said",
                "plugins/test_hls_plain.py::test_reuse",
            ),
        ),
        Switch(
            rule="What says no-cache is never served without a question",
            source="RFC 9111, 5.2.2.4",
            off={"tierkit.codecs.http_reuse:is_fresh": lambda lifetime, age: age < lifetime.fresh},
            tests=(
                "codecs/test_http_cache_reuse.py::test_no_cache_forbids_any_reuse_whatever_else_is_said",
                "plugins/test_hls_plain.py::test_reuse",
            ),
        ),
        Switch(
            rule="A request's no-cache, max-age and min-fresh are heeded",
            source="RFC 9111, 5.2.1",
            off={"tierkit.codecs.http_reuse:takes_fresh": lambda lifetime, age, wanted: True},
            tests=("codecs/test_http_cache_reuse.py::test_what_a_request_asks_after_a_failure",),
        ),
        Switch(
            rule="A request's no-cache is heeded",
            source="RFC 9111, 5.2.1.4",
            off={
                "tierkit.codecs.http_reuse:takes_fresh": lambda lifetime, age, wanted: (
                    young_enough(age, wanted) and fresh_enough(lifetime, age, wanted)
                )
            },
            tests=(
                "codecs/test_http_cache_reuse.py::test_what_a_request_asks",
                "plugins/test_hls_plain.py::test_reuse",
            ),
        ),
        Switch(
            rule="A request's no-store goes past what is stored",
            source="RFC 9111, 5.2.1.5",
            off={
                "tierkit.plugins.hls._policy:Plain.wanted": lambda self, request: (
                    None if (wanted := request_directives(request)) is None else evolve(wanted, no_store=False)
                )
            },
            tests=("plugins/test_hls_plain.py::test_reuse",),
        ),
        Switch(
            rule="A request's max-age is heeded",
            source="RFC 9111, 5.2.1.1",
            off={"tierkit.codecs.http_reuse:young_enough": lambda age, wanted: True},
            tests=("codecs/test_http_cache_reuse.py::test_what_a_request_asks_after_a_failure",),
        ),
        Switch(
            rule="A request's min-fresh is heeded",
            source="RFC 9111, 5.2.1.3",
            off={"tierkit.codecs.http_reuse:fresh_enough": lambda lifetime, age, wanted: True},
            tests=("codecs/test_http_cache_reuse.py::test_what_a_request_asks_after_a_failure",),
        ),
        Switch(
            rule="A request's max-stale is heeded",
            source="RFC 9111, 5.2.1.2",
            off={"tierkit.codecs.http_reuse:takes_stale": lambda over, age, wanted: False},
            tests=("codecs/test_http_cache_reuse.py::test_what_a_request_asks",),
        ),
        Switch(
            rule="max-stale goes no further than it says",
            source="RFC 9111, 5.2.1.2",
            off={"tierkit.codecs.http_reuse:takes_stale": lambda over, age, wanted: wanted.max_stale > 0},
            tests=("codecs/test_http_cache_reuse.py::test_what_a_request_asks",),
        ),
        Switch(
            rule="max-stale without a value is for any staleness",
            source="RFC 9111, 5.2.1.2",
            off={"tierkit.codecs.http_reuse:_max_stale": lambda control: 0.0},
            tests=("codecs/test_http_cache_reuse.py::test_request_directives",),
        ),
        Switch(
            rule="only-if-cached asks nothing of upstream",
            source="RFC 9111, 5.2.1.7",
            off={"tierkit.codecs.http_reuse:may_forward": lambda wanted: True},
            tests=(
                "codecs/test_http_cache_reuse.py::test_only_if_cached_without_anything_stored",
                "plugins/test_hls_plain.py::test_only_if_cached",
            ),
        ),
        Switch(
            rule="Pragma: no-cache of a request counts where it has no Cache-Control",
            source="RFC 9111, 5.4",
            off={"tierkit.codecs.http_reuse:pragma": lambda headers: False},
            tests=("codecs/test_http_cache_reuse.py::test_pragma_in_a_request",),
        ),
        Switch(
            rule="must-revalidate is never served stale",
            source="RFC 9111, 5.2.2.2",
            off={"tierkit.codecs.http_reuse:may_be_stale": lambda lifetime: True},
            tests=("codecs/test_http_cache_reuse.py::test_must_revalidate_forbids_staleness_whatever_else_is_said",),
        ),
        Switch(
            rule="stale-while-revalidate serves while one looks",
            source="RFC 5861, 3",
            off={"tierkit.codecs.http_reuse:revalidates_behind": lambda lifetime, over: False},
            tests=(
                "codecs/test_http_cache_reuse.py::test_fresh_then_stale",
                "plugins/test_hls_plain.py::test_stale_while_revalidate_asks_behind",
            ),
        ),
        Switch(
            rule="stale-while-revalidate ends",
            source="RFC 5861, 3",
            off={"tierkit.codecs.http_reuse:revalidates_behind": lambda lifetime, over: lifetime.while_revalidated > 0},
            tests=("codecs/test_http_cache_reuse.py::test_fresh_then_stale",),
        ),
        Switch(
            rule="stale-if-error serves where upstream fails",
            source="RFC 5861, 4",
            off={"tierkit.codecs.http_reuse:forgives_error": lambda lifetime, over, wanted: False},
            tests=(
                "codecs/test_http_cache_reuse.py::test_after_a_failure",
                "plugins/test_hls_plain.py::test_stale_if_error",
            ),
        ),
        Switch(
            rule="stale-if-error ends",
            source="RFC 5861, 4",
            off={"tierkit.codecs.http_reuse:forgives_error": lambda lifetime, over, wanted: True},
            tests=(
                "codecs/test_http_cache_reuse.py::test_after_a_failure",
                "plugins/test_hls_plain.py::test_stale_if_error",
            ),
        ),
        Switch(
            rule="stale-if-error is for 500, 502, 503 and 504",
            source="RFC 5861, 4",
            off={"tierkit.codecs.http_reuse:is_failure": lambda status: status >= 400},
            tests=("codecs/test_http_cache_reuse.py::test_failures",),
        ),
    ],
    "Vary": [
        Switch(
            rule="A star anywhere in Vary is a star",
            source="`Vary: *, foo` is stored by Varnish and nginx",
            off={
                "tierkit.codecs.http_vary:vary_names": lambda headers: (
                    None
                    if first(headers, b"vary") == b"*"
                    else tuple(
                        sorted(
                            filter(
                                None,
                                (
                                    each.strip().lower()
                                    for name, value in headers
                                    if name == b"vary"
                                    for each in value.split(b",")
                                ),
                            )
                        )
                    )
                )
            },
            tests=("codecs/test_http_cache_vary.py::test_names",),
        ),
        Switch(
            rule="All lines of Vary count",
            source="RFC 9110, 5.3",
            off={
                "tierkit.codecs.http_vary:vary_names": lambda headers: tuple(
                    sorted({each.strip().lower() for each in (first(headers, b"vary") or b"").split(b",")} - {b""})
                )
            },
            tests=("codecs/test_http_cache_vary.py::test_names",),
        ),
        Switch(
            rule="What is no name of a field in Vary fits nobody",
            source="`Vary: foo bar`",
            off={"tierkit.codecs.http_vary:is_token": lambda value: True},
            tests=("codecs/test_http_cache_vary.py::test_names",),
        ),
        Switch(
            rule="A stored answer is for requests that say the same in what it varies by",
            source="RFC 9111, 4.1",
            off={
                "tierkit.plugins.hls._flow:Flow._variant": lambda self, key, fields: next(
                    (each for each in self.store.keys() if each.startswith(key)),  # noqa: SIM118
                    key,
                )
            },
            tests=("plugins/test_hls_plain.py::test_variants_live_beside_each_other",),
        ),
        Switch(
            rule="What an object varies by is known for as long as a variant is stored",
            source="-",
            off={"tierkit.plugins.hls._variants:Variants._took": lambda self, entry: None},
            tests=("plugins/test_hls_plain.py::test_what_varies_is_found_for_as_long_as_it_is_stored",),
        ),
        Switch(
            rule="What it varies by goes with its last variant",
            source="-",
            off={"tierkit.plugins.hls._variants:Variants._gave_up": lambda self, entry: None},
            tests=("plugins/test_hls_plain.py::test_what_it_varies_by_goes_with_what_is_stored",),
        ),
        Switch(
            rule="OPTIONS is not forwarded more often than it may be",
            source="RFC 9110 section 7.6.2",
            off={"tierkit.codecs.http_forward:one_forward_less": list},
            tests=("plugins/test_hls_plain_bodies.py::test_options_is_forwarded_so_often_and_no_more",),
        ),
        Switch(
            rule="What varies by too many fields is not shared",
            source="bounded keys",
            off={"tierkit.codecs.http_vary:MAX_VARY_NAMES": 1 << 30},
            tests=("codecs/test_http_cache_vary.py::test_too_many_names_fit_nobody",),
        ),
        Switch(
            rule="What varies by fields that are too long is not shared",
            source="bounded keys",
            off={"tierkit.codecs.http_vary:MAX_VARY_KEY": 1 << 30},
            tests=("codecs/test_http_cache_vary.py::test_a_key_beyond_the_bound_is_none",),
        ),
        Switch(
            rule="Fields that are one text are compared as they are",
            source="RFC 9111, 4.1",
            off={"tierkit.codecs.http_vary:_NO_LISTS": frozenset()},
            tests=("codecs/test_http_cache_vary.py::test_requests_that_do_not_fit",),
        ),
        Switch(
            rule="Fields whose case means nothing are compared without it",
            source="RFC 9111, 4.1",
            off={"tierkit.codecs.http_vary:_ANY_CASE": frozenset()},
            tests=("codecs/test_http_cache_vary.py::test_requests_that_fit",),
        ),
        Switch(
            rule="A field that is missing is not one that is empty",
            source="RFC 9111, 4.1",
            off={"tierkit.codecs.http_vary:_said": lambda name, request: first(request, name) or b""},
            tests=("codecs/test_http_cache_vary.py::test_requests_that_do_not_fit",),
        ),
    ],
    "What updates and what invalidates": [
        Switch(
            rule="A 304 updates the fields that are stored",
            source="RFC 9111, 3.2; nginx does not",
            off={"tierkit.codecs.http_update:merged": lambda stored, newer: list(stored)},
            tests=(
                "codecs/test_http_cache_update.py::test_a_304_may_withdraw_what_is_stored",
                "plugins/test_hls_plain.py::test_a_304_updates_what_is_stored",
            ),
        ),
        Switch(
            rule="A 304 does not change the length or the coding of what is stored",
            source="RFC 9111, 3.2",
            off={"tierkit.codecs.http_update:NOT_UPDATED": frozenset()},
            tests=("codecs/test_http_cache_update.py::test_a_304_does_not_replace_what_describes_the_bytes",),
        ),
        Switch(
            rule="Digests of the bytes that are stored stay with them",
            source="RFC 9530, 2",
            off={
                "tierkit.codecs.http_update:NOT_UPDATED": NOT_UPDATED - {b"content-digest", b"content-md5"},
            },
            tests=("plugins/test_hls_plain.py::test_digests_stay_with_the_bytes_that_they_are_of",),
        ),
        Switch(
            rule="After a 304 about another version the whole is asked for",
            source="RFC 9111, 4.3.4",
            off={"tierkit.plugins.hls._fetch:Fetcher._confirm": _for_nobody},
            tests=("plugins/test_hls_plain.py::test_a_304_about_another_version_updates_nothing",),
        ),
        Switch(
            rule="Age and Date of the old answer do not survive a 304",
            source="RFC 9111, 3.2",
            off={"tierkit.codecs.http_update:_OF_ITS_OWN": frozenset()},
            tests=("codecs/test_http_cache_update.py::test_the_lifetime_begins_anew_after_a_304",),
        ),
        Switch(
            rule="A 304 updates what its validator names, and nothing else",
            source="RFC 9111, 4.3.4",
            off={"tierkit.codecs.http_update:selected": lambda stored, validation, now: list(range(len(stored)))},
            tests=(
                "codecs/test_http_cache_update.py::test_another_tag_is_not_mended_by_the_date",
                "plugins/test_hls_plain.py::test_a_304_about_another_version_updates_nothing",
            ),
        ),
        Switch(
            rule="The answer to a HEAD updates what is stored for GET",
            source="RFC 9111, 4.3.5",
            off={"tierkit.codecs.http_update:head_effect": lambda stored, length, status, newer: HeadEffect.NOTHING},
            tests=("codecs/test_http_cache_update.py::test_a_validator_that_is_new_in_a_head_is_another",),
        ),
        Switch(
            rule="A HEAD that tells of another length makes what is stored stale",
            source="RFC 9111, 4.3.5",
            off={"tierkit.codecs.http_update:_other_length": lambda length, newer: False},
            tests=("codecs/test_http_cache_update.py::test_what_a_head_says_of_what_is_stored",),
        ),
        Switch(
            rule="Unsafe methods invalidate",
            source="RFC 9111, 4.4",
            off={"tierkit.codecs.http_update:is_unsafe": lambda method: False},
            tests=(
                "codecs/test_http_cache_update.py::test_both_names_and_no_url_twice",
                "plugins/test_hls_plain.py::test_unsafe_methods_invalidate",
            ),
        ),
        Switch(
            rule="Methods that nobody knows are unsafe",
            source="RFC 9110, 9.2.1",
            off={
                "tierkit.codecs.http_update:is_unsafe": lambda method: method in (b"POST", b"PUT", b"DELETE", b"PATCH")
            },
            tests=("codecs/test_http_cache_update.py::test_unsafe_methods_invalidate_their_target",),
        ),
        Switch(
            rule="Location and Content-Location invalidate on the same origin alone",
            source="RFC 9111, 4.4",
            off={"tierkit.codecs.http_update:same_origin": lambda url, reference: reference.decode("latin-1")},
            tests=("codecs/test_http_cache_update.py::test_nothing_of_another_origin_is_invalidated",),
        ),
        Switch(
            rule="An error invalidates nothing",
            source="RFC 9111, 4.4",
            off={"tierkit.codecs.http_update:has_changed_something": lambda status: True},
            tests=(
                "codecs/test_http_cache_update.py::test_errors_invalidate_nothing",
                "plugins/test_hls_plain.py::test_unsafe_methods_invalidate",
            ),
        ),
        Switch(
            rule="Long references invalidate nothing",
            source="bounded work",
            off={"tierkit.codecs.http_update:MAX_LOCATION": 1 << 30},
            tests=("codecs/test_http_cache_update.py::test_nothing_of_another_origin_is_invalidated",),
        ),
    ],
    "What goes on to the next hop": [
        Switch(
            rule="Fields of the hop stay at the hop",
            source="RFC 9110, 7.6.1",
            off={"tierkit.codecs.http_forward:HOP_BY_HOP": frozenset()},
            tests=("codecs/test_http_cache_forward.py::test_what_connection_names_ends_too",),
        ),
        Switch(
            rule="Fields named by Connection stay at the hop",
            source="RFC 9110, 7.6.1",
            off={"tierkit.codecs.http_forward:named_by_connection": lambda headers: frozenset()},
            tests=("codecs/test_http_cache_forward.py::test_what_is_stored",),
        ),
        Switch(
            rule="Connection takes nothing away that routing, credentials or caching need",
            source="hop-by-hop abuse",
            off={"tierkit.codecs.http_forward:KEPT": frozenset()},
            tests=("codecs/test_http_cache_forward.py::test_what_connection_must_not_strip",),
        ),
        Switch(
            rule="What proxies say to each other stays with them",
            source="RFC 9110, 11.7",
            off={"tierkit.codecs.http_forward:FOR_PROXIES": frozenset()},
            tests=("codecs/test_http_cache_forward.py::test_what_ends_at_a_hop",),
        ),
        Switch(
            rule="Framing is made anew",
            source="RFC 9112, 6",
            off={"tierkit.codecs.http_forward:FRAMING": frozenset()},
            tests=("codecs/test_http_cache_forward.py::test_what_ends_at_a_hop",),
        ),
        Switch(
            rule="What the key does not have does not reach the origin of a shared answer",
            source="web cache poisoning",
            off={"tierkit.codecs.http_forward:UNKEYED": frozenset()},
            tests=(
                "codecs/test_http_cache_forward.py::test_what_no_key_has_does_not_fill_a_cache",
                "plugins/test_hls_plain.py::test_what_is_no_part_of_the_key_does_not_choose_what_is_stored",
            ),
        ),
        Switch(
            rule="A trailer is no way to set a field of the head",
            source="RFC 9110, 6.5.1",
            off={"tierkit.codecs.http_forward:NOT_IN_TRAILERS": frozenset()},
            tests=("codecs/test_http_cache_forward.py::test_trailers_that_do_not_go_on",),
        ),
    ],
    "Conditions": [
        Switch(
            rule="Conditions count beside a success alone",
            source="RFC 9110, 13.2.1",
            off={"tierkit.codecs.http_conditional:is_success": lambda status: True},
            tests=("codecs/test_http_conditional.py::test_conditions_count_beside_success_alone",),
        ),
        Switch(
            rule="If-None-Match compares weakly",
            source="RFC 9110, 13.1.2",
            off={"tierkit.codecs.http_conditional:EntityTag.is_weakly": EntityTag.is_strongly},
            tests=("codecs/test_http_conditional.py::test_if_none_match_by_weak_comparison",),
        ),
        Switch(
            rule="If-Match compares strongly",
            source="RFC 9110, 13.1.1",
            off={"tierkit.codecs.http_conditional:EntityTag.is_strongly": EntityTag.is_weakly},
            tests=("codecs/test_http_conditional.py::test_if_match_is_by_strong_comparison",),
        ),
        Switch(
            rule="If-None-Match comes before If-Modified-Since",
            source="RFC 9110, 13.2.2",
            off={"tierkit.codecs.http_conditional:none_matches": lambda wanted, headers: True},
            tests=("codecs/test_http_conditional.py::test_if_none_match_where_there_is_no_tag",),
        ),
        Switch(
            rule="If-Match is heeded",
            source="RFC 9110, 13.1.1",
            off={"tierkit.codecs.http_conditional:some_matches": lambda wanted, headers: True},
            tests=("codecs/test_http_conditional.py::test_if_match_is_by_strong_comparison",),
        ),
        Switch(
            rule="If-Modified-Since is heeded",
            source="RFC 9110, 13.1.3",
            off={"tierkit.codecs.http_conditional:modified_since": lambda request, headers, now: True},
            tests=("codecs/test_http_conditional.py::test_without_last_modified_the_date_counts",),
        ),
        Switch(
            rule="If-Unmodified-Since is heeded",
            source="RFC 9110, 13.1.4",
            off={"tierkit.codecs.http_conditional:unmodified_since": lambda request, headers, now: True},
            tests=("codecs/test_http_conditional.py::test_if_unmodified_since_of_what_has_no_date",),
        ),
        Switch(
            rule="A list of tags is bounded",
            source="bounded work",
            off={"tierkit.codecs.http_conditional:MAX_TAGS": 1 << 30},
            tests=("codecs/test_http_conditional.py::test_an_absurd_number_of_tags_is_not_compared",),
        ),
        Switch(
            rule="A malformed tag matches nothing",
            source="RFC 9110, 8.8.3",
            off={
                "tierkit.codecs.http_conditional:parse_etag": lambda value: (
                    None if value is None else EntityTag(value.removeprefix(b"W/").strip(b'"'), value.startswith(b"W/"))
                )
            },
            tests=("codecs/test_http_conditional.py::test_if_none_match_rules_the_date_out",),
        ),
        Switch(
            rule="A Last-Modified of the same second tells no versions apart",
            source="RFC 9110, 8.8.2.2",
            off={"tierkit.codecs.http_conditional:last_modified_is_strong": lambda headers, now: True},
            tests=("codecs/test_http_conditional.py::test_a_last_modified_alone_is_weak",),
        ),
        Switch(
            rule="What fills the store is asked for without the conditions of who came first",
            source="RFC 9111, 4.3.1",
            off={"tierkit.codecs.http_conditional:unconditional": lambda request: list(request)},
            tests=(
                "codecs/test_http_conditional.py::test_a_fill_carries_no_condition_of_its_client",
                "plugins/test_hls_plain.py::test_the_conditions_of_one_viewer_do_not_fill_the_store",
            ),
        ),
        Switch(
            rule="What is stored is confirmed by its own validators",
            source="RFC 9111, 4.3.1",
            off={"tierkit.codecs.http_conditional:revalidation": lambda headers: []},
            tests=("codecs/test_http_conditional.py::test_what_a_revalidation_carries",),
        ),
        Switch(
            rule="Only the origin judges If-Match and If-Unmodified-Since",
            source="RFC 9110, 13.1.1",
            off={"tierkit.codecs.http_conditional:for_origin_alone": lambda request: False},
            tests=(
                "codecs/test_http_conditional.py::test_what_only_an_origin_can_judge",
                "plugins/test_hls_plain.py::test_what_only_the_origin_can_judge_passes_and_fills_nothing",
            ),
        ),
        Switch(
            rule="A 304 carries what it must and not the rest",
            source="RFC 9110, 15.4.5",
            off={"tierkit.codecs.http_conditional:not_modified_fields": lambda headers: list(headers)},
            tests=("codecs/test_http_conditional.py::test_a_304_says_little",),
        ),
    ],
    "Ranges": [
        Switch(
            rule="Ranges are capped",
            source="RangeAmp",
            off={"tierkit.codecs.http_range:too_many": lambda count: False},
            tests=("codecs/test_http_cache_range.py::test_more_ranges_than_the_cap_are_the_whole",),
        ),
        Switch(
            rule="Ranges that overlap or run backwards get the whole",
            source="RangeAmp",
            off={"tierkit.codecs.http_range:overlap_or_run_backwards": lambda spans: False},
            tests=("codecs/test_http_cache_range.py::test_spans_that_overlap_or_run_backwards_are_the_whole",),
        ),
        Switch(
            rule="A Range that is malformed is none",
            source="RFC 9110, 14.2",
            off={"tierkit.codecs.http_range:_SPEC": re.compile(rb"(?:[a-z+]*)([0-9]{0,20}) *- *([0-9]{0,20}).*\Z")},
            tests=("codecs/test_http_cache_range.py::test_a_malformed_range_is_the_whole",),
        ),
        Switch(
            rule="Parts are for a GET, of what would be a 200",
            source="RFC 9110, 14.2",
            off={"tierkit.codecs.http_range:may_be_a_part": lambda method, status: True},
            tests=("codecs/test_http_cache_range.py::test_ranges_are_for_one_get_of_a_success",),
        ),
        Switch(
            rule="Several ranges are answered as one body of parts",
            source="RFC 9110, 14.6",
            off={
                "tierkit.plugins.hls._parts:with_spans": lambda entry, spans, headers: whole(
                    entry, 206 if spans else 200, headers
                )
            },
            tests=("plugins/test_hls_ranges.py::test_several_ranges_come_in_parts",),
        ),
        Switch(
            rule="A boundary between parts cannot be foreseen",
            source="content that ends a part",
            off={"tierkit.plugins.hls._parts:secrets": SimpleNamespace(token_hex=lambda count: "tierkit")},
            tests=("plugins/test_hls_ranges.py::test_boundaries_cannot_be_foreseen",),
        ),
        Switch(
            rule="A boundary cannot break out of its frame",
            source="RFC 2046, 5.1.1",
            off={"tierkit.codecs.http_range:is_boundary": lambda value: True},
            tests=("codecs/test_http_cache_range.py::test_a_boundary_that_would_break_the_frame_is_refused",),
        ),
        Switch(
            rule="If-Range gives the whole where it names another version",
            source="RFC 9110, 13.1.5",
            off={"tierkit.codecs.http_range:if_range_holds": lambda value, headers, now: True},
            tests=("codecs/test_http_cache_range.py::test_what_a_request_gets",),
        ),
        Switch(
            rule="A suffix counts from the end, and a range ends where the object does",
            source="RFC 9110, 14.1.2",
            off={
                "tierkit.codecs.http_range:_span": lambda start, last, length: (
                    start or 0,
                    None if last is None else last + 1,
                )
            },
            tests=(
                "codecs/test_http_cache_range.py::test_nothing_of_an_empty_object_is_satisfied",
                "codecs/test_http_cache_range.py::test_a_range_outside_is_not_satisfied",
            ),
        ),
        Switch(
            rule="The length of what still grows is a star",
            source="RFC 9110, 14.4",
            off={
                "tierkit.codecs.http_range:content_range": lambda start, end, length: (
                    b"bytes %d-%d/%d" % (start, end - 1, length or end)
                )
            },
            tests=("codecs/test_http_cache_range.py::test_content_range_is_written",),
        ),
        Switch(
            rule="A Content-Range that says what cannot be is none",
            source="RFC 9110, 14.4",
            off={"tierkit.codecs.http_range:parse_content_range": lambda headers: None},
            tests=("codecs/test_http_cache_range.py::test_a_fill_resumes_with_the_same_object",),
        ),
        Switch(
            rule="The rest of a body is asked for by the version that is there",
            source="RFC 9110, 13.1.5",
            off={"tierkit.codecs.http_range:resumption": lambda stored, at, now: [(b"Range", b"bytes=%d-" % at)]},
            tests=("codecs/test_http_cache_range.py::test_the_rest_is_asked_for_by_a_strong_validator",),
        ),
        Switch(
            rule="What continues a body is the same object, from that very byte on",
            source="truncated objects in Apache Traffic Server",
            off={"tierkit.codecs.http_range:_is_same_object": lambda stored, headers, now: True},
            tests=("codecs/test_http_cache_range.py::test_a_fill_does_not_resume_with_another",),
        ),
        Switch(
            rule="Several ranges of a client are not passed on",
            source="RangeAmp",
            off={"tierkit.plugins.hls._policy:amplified_by_nobody": lambda request: request},
            tests=("plugins/test_hls_edge.py::test_several_ranges_of_what_is_passed_on_are_asked_for_as_the_whole",),
        ),
    ],
    "How fields are read": [
        Switch(
            rule="Seconds are digits, and large ones are capped",
            source="RFC 9111, 1.2.2",
            off={
                "tierkit.codecs.http_fields:delta_seconds": lambda value: (
                    int(value) if value.strip().lstrip(b"+-").replace(b"_", b"").isdigit() else None
                )
            },
            tests=("codecs/test_http_fields.py::test_delta_seconds",),
        ),
        Switch(
            rule="A line of Cache-Control is bounded",
            source="bounded work",
            off={"tierkit.codecs.http_fields:too_many": lambda count: False},
            tests=("codecs/test_http_fields.py::test_an_absurd_number_of_directives_says_no_store",),
        ),
        Switch(
            rule="Lists are read over all lines of a field",
            source="RFC 9110, 5.3",
            off={
                "tierkit.codecs.http_fields:members": lambda headers, name: [
                    each.strip() for each in (first(headers, name) or b"").split(b",") if each.strip()
                ]
            },
            tests=("codecs/test_http_fields.py::test_members",),
        ),
        Switch(
            rule="A comma in quotes ends no member",
            source="RFC 9110, 5.6.1",
            off={
                "tierkit.codecs.http_fields:members": lambda headers, name: [
                    each.strip(b" \t")
                    for key, value in headers
                    if key == name
                    for each in value.split(b",")
                    if each.strip(b" \t")
                ]
            },
            tests=("codecs/test_http_fields.py::test_members",),
        ),
        Switch(
            rule="Two digits of a year are at most 50 years ahead",
            source="RFC 9110, 5.6.7",
            off={"tierkit.codecs.http_fields:_full_year": lambda short, now: 1900 + short},
            tests=("codecs/test_http_fields.py::test_two_digit_years_are_at_most_fifty_ahead",),
        ),
        Switch(
            rule="A date in any of its three forms is read",
            source="RFC 9110, 5.6.7",
            off={"tierkit.codecs.http_fields:_ASCTIME": re.compile(rb"(?!)")},
            tests=("codecs/test_http_fields.py::test_dates_in_all_three_forms",),
        ),
        Switch(
            rule="A date of RFC 850 is read",
            source="RFC 9110, 5.6.7",
            off={"tierkit.codecs.http_fields:_RFC850": re.compile(rb"(?!)")},
            tests=("codecs/test_http_fields.py::test_dates_in_all_three_forms",),
        ),
        Switch(
            rule="A date has no zone but GMT, and no other spelling",
            source="RFC 9111, 4.2",
            off={"tierkit.codecs.http_fields:parse_date": _any_date},
            tests=("codecs/test_http_fields.py::test_what_is_no_date",),
        ),
        Switch(
            rule="A Dictionary is read to its end or not at all",
            source="RFC 9651, 4.2",
            off={"tierkit.codecs.http_structured:MAX_MEMBERS": 1 << 30},
            tests=("codecs/test_http_cache_structured.py::test_an_absurd_number_of_members_is_unreadable",),
        ),
    ],
    "Cache-Status": [
        Switch(
            rule="Our member stands behind those that came from upstream",
            source="RFC 9211, 2",
            off={"tierkit.codecs.cache_status:appended": lambda upstream, status: status.render()},
            tests=("codecs/test_cache_status.py::test_ours_comes_behind_those_of_upstream",),
        ),
        Switch(
            rule="Why a request went upstream is said",
            source="RFC 9211, 2.2",
            off={"tierkit.plugins.hls._flow:Flow._why": lambda self, stored, key, place: Fwd.MISS},
            tests=(
                "plugins/test_hls_plain.py::test_a_request_that_wants_more_than_freshness_is_told_so",
                "plugins/test_hls_plain.py::test_variants_live_beside_each_other",
                "plugins/test_hls_plain.py::test_a_304_updates_what_is_stored",
            ),
        ),
        Switch(
            rule="The seconds that are left are negative where they are over",
            source="RFC 9211, 2.6",
            off={
                "tierkit.plugins.hls._told:time_left": lambda lifetime, age: (
                    None if lifetime is None else max(0, int(lifetime.fresh - age))
                )
            },
            tests=("plugins/test_hls_edge.py::test_a_stale_playlist_is_served_while_upstream_fails",),
        ),
        Switch(
            rule="What is said is an item that others can read",
            source="RFC 9651, 4.1",
            off={
                "tierkit.codecs.cache_status:display": lambda value, *, token=False: str(value or "").encode(
                    "latin-1", "replace"
                )
            },
            tests=("codecs/test_cache_status.py::test_a_member",),
        ),
        Switch(
            rule="What upstream says of its caches is bounded",
            source="bounded heads",
            off={"tierkit.codecs.cache_status:MAX_UPSTREAM": 1 << 30},
            tests=("codecs/test_cache_status.py::test_an_absurd_list_of_upstream_is_left_out",),
        ),
    ],
}
