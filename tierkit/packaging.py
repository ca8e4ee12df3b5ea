"""The packaging kit: live streams in, HLS out; remuxed, never transcoded.

`Channels` packages a tier's streams, all or those that are asked for, and answers for them over HTTP.  Beneath it
stands `Packager`, one stream's: it is given FLV messages and keeps a `Window` of MPEG-TS segments and the playlists
over them, for which `answer` answers.
"""

from ._packaging_answer import answer as answer
from ._packaging_answer import cors_headers as cors_headers
from ._packaging_answer import refuse_method as refuse_method
from ._packaging_channels import Channel as Channel
from ._packaging_channels import Channels as Channels
from ._packaging_figures import PackagerStatistics as PackagerStatistics
from ._packaging_figures import Packaging as Packaging
from ._packaging_packager import Packager as Packager
from ._packaging_window import CHUNKLIST as CHUNKLIST
from ._packaging_window import PLAYLIST as PLAYLIST
from ._packaging_window import MediaSegment as MediaSegment
from ._packaging_window import Window as Window
