"""The access kit: who may publish and play, for services of any protocol.

A service gives itself an option of `authorise_option`, opens what it holds by `open_access`, and asks
`Access.admit` for each attempt.  All authorisers must allow, in their order; the first denial counts.  One that
raises, answers nonsense or takes too long denies: a fault lets nobody in.  What an authoriser is told later (that
somebody is still there, or has left) goes by a bounded queue, so that a slow back end holds nobody up.

`WatchedFile` is for authorisers whose rules stand in a file that is read again when it changes.
"""

from ._access_chain import Access as Access
from ._access_chain import AccessDenied as AccessDenied
from ._access_chain import AccessStatistics as AccessStatistics
from ._access_chain import Pass as Pass
from ._access_chain import open_access as open_access
from ._access_files import KeyFile as KeyFile
from ._access_files import WatchedFile as WatchedFile
from ._access_options import authorise_option as authorise_option
from ._access_options import chosen_actions as chosen_actions
from ._access_options import decide_within_option as decide_within_option
from ._access_options import on_option as on_option
