"""Makes the protobuf vectors of golden.json with Google's library, from classes made of Tyk Pump's `analytics.proto`.

python -m grpc_tools.protoc -I. --python_out=. analytics.proto && python make_protobuf.py
"""

import json

import analytics_pb2 as pb  # type: ignore[import-not-found]
from google.protobuf.timestamp_pb2 import Timestamp  # type: ignore[import-untyped]

ZERO = Timestamp(seconds=-62_135_596_800)

full = pb.AnalyticsRecord(
    Host="example.com",
    Method="GET",
    Path="/a",
    RawPath="/a/\u00e9",
    ContentLength=70_000,
    UserAgent="curl",
    Day=2,
    Month=1,
    Year=2026,
    Hour=3,
    ResponseCode=-1,
    APIKey="k",
    TimeStamp=Timestamp(seconds=1_767_323_045, nanos=123_456_789),
    APIVersion="v1",
    APIName="n",
    APIID="id",
    OrgID="org",
    RequestTime=1 << 33,
    Latency=pb.Latency(Total=12, Upstream=11),
    RawRequest="R0VUIC8=",
    RawResponse="/w==",
    IPAddress="::1",
    Geo=pb.GeoData(
        Country=pb.Country(ISOCode="DE"),
        City=pb.City(Names={"en": "Berlin"}, GeoNameID=1 << 31),
        Location=pb.Location(Latitude=52.5, Longitude=-13.25, TimeZone="Europe/Berlin"),
    ),
    Network=pb.NetworkStats(OpenConnections=-129, ClosedConnections=2, BytesIn=1 << 40, BytesOut=4),
    Tags=["a", "b"],
    Alias="al",
    TrackPath=True,
    ExpireAt=Timestamp(seconds=4_922_831_045, nanos=678_901_234),
    OauthID="oa",
    TimeZone="Local",
    ApiSchema="s",
    GraphQLStats=pb.GraphQLStats(
        IsGraphQL=True,
        Types={"T": pb.RepeatedFields(fields=["f"])},
        OperationType=2,
        Variables="{}",
        RootFields=["r"],
        HasError=True,
        GraphErrors=["m"],
    ),
    MCPStats=pb.MCPStats(IsMCP=True, JSONRPCMethod="tools/call", PrimitiveType="tool", PrimitiveName="w"),
    OriginalPath="/o",
    ListenPath="/l",
)
# What Tyk Gateway writes of a record without a value in it.
zero = pb.AnalyticsRecord(
    TimeStamp=ZERO,
    ExpireAt=ZERO,
    Latency=pb.Latency(),
    Geo=pb.GeoData(Country=pb.Country(), City=pb.City(), Location=pb.Location()),
    Network=pb.NetworkStats(),
    TimeZone="UTC",
)
bare = pb.AnalyticsRecord(Host="without any sub-message")

vectors = {"full": full, "zero": zero, "bare": bare}
print(json.dumps({name: one.SerializeToString(deterministic=True).hex() for name, one in vectors.items()}, indent=1))
