"""The events, public: see `tierkit._events` for what an event may and may not be used for."""

from ._events import AcceptPaused as AcceptPaused
from ._events import CertificateKept as CertificateKept
from ._events import ConnectionFailed as ConnectionFailed
from ._events import Draining as Draining
from ._events import Dropped as Dropped
from ._events import Event as Event
from ._events import LoopBlocked as LoopBlocked
from ._events import PluginFailed as PluginFailed
from ._events import PublisherJoined as PublisherJoined
from ._events import PublisherLeft as PublisherLeft
from ._events import Recorded as Recorded
from ._events import RecordingFailed as RecordingFailed
from ._events import RecordingLeft as RecordingLeft
from ._events import Refused as Refused
from ._events import StreamEnded as StreamEnded
from ._events import StreamFault as StreamFault
from ._events import StreamStarted as StreamStarted
from ._events import TierFailed as TierFailed
from ._events import TierStarted as TierStarted
from ._events import TierStopped as TierStopped
from ._events import UpstreamBack as UpstreamBack
from ._events import UpstreamFound as UpstreamFound
from ._events import UpstreamLost as UpstreamLost
from ._events import ViewerJoined as ViewerJoined
from ._events import ViewerLeft as ViewerLeft
from ._visible import visible as visible
