"""What keeps an edge and a relay from taking a viewer for chopped who is not, and the other way round."""

from typing import Any

from tierkit.codecs.rebuffering import Rebuffering
from tierkit.codecs.viewings import Viewing

from ..switch import Switch

_STEPS = "codecs/test_rebuffering.py::"
_RINGS = "fanout/test_chopped.py::"
_HUNGRY = Rebuffering._hungry


def _always_hungry(self: Any, view: Viewing, now: float) -> bool:
    """Whoever has no media left stands still."""
    return not view.paused


def _told_of_nothing(self: Any, view: Viewing, now: float) -> bool:
    """Whoever asks waits for something."""
    view.listed = view.next
    return _HUNGRY(self, view, now)


def _from_the_head(self: Any, seconds: float) -> None:
    """Behind is behind, wherever it began."""
    if seconds > self._suffered + 1.0:
        self._suffered = seconds
        self.stands_still(self.ring.log.at)


GROUPS: dict[str, list[Switch]] = {
    "Whose picture stands still": [
        Switch(
            rule="A viewer that asks for nothing any more has left, and is not chopped.",
            off={"tierkit.codecs.rebuffering:Rebuffering._hungry": _always_hungry},
            tests=(f"{_STEPS}test_who_has_everything_and_stops_asking_has_left",),
        ),
        Switch(
            rule="A viewer that does not ask for what it was told of is paused, and begins anew when it asks.",
            off={"tierkit.codecs.rebuffering:Rebuffering._hungry": _told_of_nothing},
            tests=(f"{_STEPS}test_who_does_not_ask_for_what_it_was_told_of_is_at_leisure_and_begins_anew",),
        ),
        Switch(
            rule="An answer that is on its way when a viewer's media has ended is looked after.",
            off={"tierkit.codecs.rebuffering:Rebuffering.look": lambda self, now: None},
            tests=(f"{_STEPS}test_an_answer_that_is_still_on_its_way_when_the_media_has_ended_is_a_rebuffering",),
        ),
        Switch(
            rule="Who seeks begins anew, and is not chopped by it.",
            off={"tierkit.codecs.rebuffering:Rebuffering._begins_anew": lambda self, view, sequence: None},
            tests=(
                f"{_STEPS}test_a_seek_backwards_begins_anew",
                f"{_STEPS}test_who_jumps_with_media_in_hand_seeks_and_who_jumps_without_has_lost_some",
            ),
        ),
        Switch(
            rule="What a player says of its buffer counts for more than what is inferred.",
            source="CTA-5004, bl and bs",
            off={"tierkit.codecs.rebuffering:Rebuffering._says": lambda self, view, told, before, now: None},
            tests=(
                f"{_STEPS}test_what_a_player_says_of_its_buffer_counts_for_more",
                f"{_STEPS}test_who_says_that_it_is_paused_is",
            ),
        ),
        Switch(
            rule="Who turns to another playlist does not wait for the one before.",
            off={"tierkit.codecs.rebuffering:Rebuffering._turns": lambda self, line, pace: None},
            tests=(f"{_STEPS}test_another_channel_is_no_hunger_for_the_first",),
        ),
        Switch(
            rule="A player that began behind the head of a relay's stream has media in hand for as long.",
            off={"tierkit._fanout_cursor:Cursor._falls_behind": _from_the_head},
            tests=(f"{_RINGS}test_who_began_behind_has_media_in_hand",),
        ),
    ],
}
