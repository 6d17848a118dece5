"""Go field names and ours: snake_case, after the JSON tags of the originals where they have one."""

import re

IAM = {
    "TimeStamp": "timestamp",
    "Username": "username",
    "Effect": "effect",
    "Conclusion": "conclusion",
    "Request": "request",
    "Policies": "policies",
    "Deciders": "deciders",
    "ExpireAt": "expire_at",
}

#: A record of Tyk Gateway, in Go's order; the structs in it follow.
TYK = {
    "Method": "method",
    "Host": "host",
    "Path": "path",
    "RawPath": "raw_path",
    "ContentLength": "content_length",
    "UserAgent": "user_agent",
    "Day": "day",
    "Month": "month",
    "Year": "year",
    "Hour": "hour",
    "ResponseCode": "response_code",
    "APIKey": "api_key",
    "TimeStamp": "timestamp",
    "APIVersion": "api_version",
    "APIName": "api_name",
    "APIID": "api_id",
    "OrgID": "org_id",
    "OauthID": "oauth_id",
    "RequestTime": "request_time",
    "RawRequest": "raw_request",
    "RawResponse": "raw_response",
    "IPAddress": "ip_address",
    "Geo": "geo",
    "Network": "network",
    "Latency": "latency",
    "Tags": "tags",
    "Alias": "alias",
    "TrackPath": "track_path",
    "ExpireAt": "expire_at",
    "ApiSchema": "api_schema",
    "OriginalPath": "original_path",
    "ListenPath": "listen_path",
    "GraphQLStats": "graphql_stats",
    "MCPStats": "mcp_stats",
    "CollectionName": "collection_name",
}
COUNTRY = {"ISOCode": "iso_code"}
CITY = {"GeoNameID": "geoname_id", "Names": "names"}
LOCATION = {"Latitude": "latitude", "Longitude": "longitude", "TimeZone": "time_zone"}
GEO = {"Country": "country", "City": "city", "Location": "location"}
NETWORK = {
    "OpenConnections": "open_connections",
    "ClosedConnection": "closed_connections",
    "BytesIn": "bytes_in",
    "BytesOut": "bytes_out",
}
LATENCY = {"Total": "total", "Upstream": "upstream", "Gateway": "gateway"}
GRAPHQL_ERROR = {"Message": "message", "Path": "path"}
GRAPHQL = {
    "Variables": "variables",
    "RootFields": "root_fields",
    "Types": "types",
    "Errors": "errors",
    "OperationType": "operation_type",
    "HasErrors": "has_errors",
    "IsGraphQL": "is_graphql",
}
MCP = {
    "IsMCP": "is_mcp",
    "JSONRPCMethod": "jsonrpc_method",
    "PrimitiveType": "primitive_type",
    "PrimitiveName": "primitive_name",
}

_WORDS = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|(?<=[A-Z])(?=[A-Z][a-z])")


def snake_case(name: str) -> str:
    """Return a Go name in snake_case, for fields that no table has: `HTTPStatus` becomes `http_status`."""
    return _WORDS.sub("_", name).lower()
