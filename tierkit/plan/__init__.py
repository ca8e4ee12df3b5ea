"""Capacity: what a graph has to carry for an audience, whether it can, and what a machine costs it.

    found = plan(graph, Audience(viewers=6000, bitrate=592_000), Profile.read(default_path()), Machines(uplink=1e9))
    print(found.holds, found.first)

`plan` is arithmetic alone.  `calibrate` measures what it needs, on this machine, with real tiers and a real load.
"""

from ._audience import Audience as Audience
from ._audience import Seat as Seat
from ._bounds import LinkLoad as LinkLoad
from ._calibrate import calibrate as calibrate
from ._costs import Costs as Costs
from ._demand import Flow as Flow
from ._demand import TierLoad as TierLoad
from ._links import Machines as Machines
from ._links import parse_speed as parse_speed
from ._plan import Breaking as Breaking
from ._plan import Plan as Plan
from ._plan import plan as plan
from ._profile import KINDS as KINDS
from ._profile import MEASURED as MEASURED
from ._profile import Profile as Profile
from ._profile import default_path as default_path
