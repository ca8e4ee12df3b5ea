"""One writer, many readers, one copy: how a stream leaves for thousands of players.

Agnostic of protocols: what goes in are encoded messages, what comes out are the same bytes for everybody.

Theory of operation

* **A position is a number of bytes.**  A `Ring` (on a `Log`) counts the bytes of its stream from the first one on.
  A player is a `Cursor`: a connection and a position, not a queue.  Joining, skipping and evicting are
  arithmetic on positions; nothing is copied for any of them.
* **Encode once, join once, send once.**  Messages wait in a list until the next pass of the `Pump`, which joins
  them into *one* bytes object.  Every player at the head is sent that object, without blocking, by the pump itself.
  Only a short write costs a player a task (16 µs), which waits until it has caught up, then ends.
* **Passes are paced by their cost, over all rings of the process.**  After a pass that took p seconds the next
  starts no sooner than min(30 p, 300 ms - p/2) after the start of the last, 40 p where p is long.  With few players
  that is a frame; with thousands it grows by itself.  With nothing to send it is parked.
* **Readers rest with it.**  Whoever reads what a ring is fed with may rest until a pass is about to begin: what
  comes until then leaves by that pass all the same, and is read by one wake-up.
* **The pump is polite.**  Every 64 sends it lets others run; whoever was detached meanwhile is not sent to.
* **One writer for each connection.**  While a cursor is attached, it alone writes.  Replies (pongs,
  acknowledgements) are queued on it and leave at the next message boundary.
* **Nobody starts or resumes in the middle of a GOP.**  A *sync point* is the position of a message that a
  decoder can begin with.  A joiner gets the prelude (headers, metadata) and everything since the newest sync
  point at once.  A player that falls further behind than the soft bound finishes its message, then jumps to the
  newest sync point, with a new prelude; where there is none ahead of it, it waits for the next.  What it skipped
  is counted in GOPs.
* **A player that takes nothing for the hard bound is given up:** marked and its task cancelled.  Closing is its
  guard's business.  The pump holds connections, never descriptors.

Memory, for each ring: the current GOP (`gop_bytes` at most, else it is not kept), what the slowest player that is
within bounds still needs (`soft_bytes` beyond where it began), and one pass of new messages (`MAX_PENDING`, then the
writer waits).  So at most gop_bytes + soft_bytes + MAX_PENDING, whatever the number of players, and as a rule the
current GOP alone; and 40 bytes for each message kept.  For each player: the cursor (500 bytes), and while it is slow
a task (3 kB), a view of the batch in which its unfinished message stands, and at most MAX_REPLIES bytes of replies.
"""

from ._fanout_cursor import MAX_REPLIES, Cursor
from ._fanout_log import FanoutPolicy, Log, Sync
from ._fanout_pace import pass_delay
from ._fanout_pump import Pump, PumpStatistics
from ._fanout_ring import MAX_PENDING, Ring, RingStatistics

__all__ = [
    "Cursor",
    "FanoutPolicy",
    "Log",
    "MAX_PENDING",
    "MAX_REPLIES",
    "Pump",
    "PumpStatistics",
    "Ring",
    "RingStatistics",
    "Sync",
    "pass_delay",
]
