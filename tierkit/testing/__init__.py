"""What plugin authors test with: a network in memory, and a conformance check for networks of their own.

Nothing here imports a test framework.
"""

from ._memory import Dialled as Dialled
from ._memory import Fault as Fault
from ._memory import MemoryNetwork as MemoryNetwork
