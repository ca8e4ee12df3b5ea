"""Asking a Wowza's control ports, for programs of your own: REST (8087) and the counters (8086).

    client = WowzaClient(RealNetwork(), trio.current_time, Address.parse("admin:secret@wowza:8087"), port=REST_PORT)
    for stream in await WowzaRest(client).incoming():
        print(stream.path, stream.connected)

Public names only; each stands in the module that it is from.
"""

from ._administration import Administration as Administration
from ._administration import AdministrationStatistics as AdministrationStatistics
from ._administration import control_address as control_address
from ._administration import control_problem as control_problem
from ._administration import open_administration as open_administration
from ._client import Answer as Answer
from ._client import WowzaClient as WowzaClient
from ._client import WowzaFailure as WowzaFailure
from ._counters import ADMIN_PORT as ADMIN_PORT
from ._counters import WowzaCounters as WowzaCounters
from ._counters import product_in as product_in
from ._knowing import Counting as Counting
from ._knowing import Knowing as Knowing
from ._knowing import Managing as Managing
from ._known import KnowingStatistics as KnowingStatistics
from ._known import Known as Known
from ._known import KnownStream as KnownStream
from ._rest import REST_PORT as REST_PORT
from ._rest import OnAir as OnAir
from ._rest import WowzaRest as WowzaRest
from ._stream_files import StreamFiles as StreamFiles
