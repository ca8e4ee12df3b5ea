"""Certificates, as the tests of the network make them."""

from tests.net.conftest import local_certificate as local_certificate
from tests.net.conftest import papers as papers
