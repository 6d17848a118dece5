"""Its README shows a setting by the name that it had before."""

import attrs

from pumpkit import Meta, hookimpl
from tests.conformance.reference_sink import ReferenceSink

ALSO_FAILS = ()

METADATA = """\
Metadata-Version: 2.1
Name: {distribution}
Version: 0
Summary: A sink for tests.
Requires-Python: >=3.11
Requires-Dist: pumpkit<1,>=0.1
Description-Content-Type: text/markdown

A sink for tests.

```yaml
pumps:
  conformance:
    type: {plugin}
    meta: {{address: "http://127.0.0.1:1/records", token: xyz}}
```
"""


@attrs.define(eq=False)
class Sink(ReferenceSink):
    """Has no fault but in its README."""


@hookimpl
def new(meta: Meta) -> Sink:
    """Return the mutant."""
    return meta.into(Sink)
