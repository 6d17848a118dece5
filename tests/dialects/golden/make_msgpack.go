// Makes the msgpack vectors of golden.json with the libraries that the Go programs use:
//
//	go mod init golden && go get github.com/vmihailenco/msgpack/v5@v5.3.4 gopkg.in/vmihailenco/msgpack.v2@v2.9.1
//	go run make_msgpack.go
//
// With an argument it reads vectors of the same shape instead, and prints what Go makes of them.
package main

import (
	"encoding/hex"
	"encoding/json"
	"os"
	"time"

	v5 "github.com/vmihailenco/msgpack/v5"
	v2 "gopkg.in/vmihailenco/msgpack.v2"
)

type Iam struct {
	TimeStamp                                                 int64
	Username, Effect, Conclusion, Request, Policies, Deciders string
	ExpireAt                                                  time.Time
}
type Network struct{ OpenConnections, ClosedConnection, BytesIn, BytesOut int64 }
type Latency struct{ Total, Upstream, Gateway int64 }
type Country struct{ ISOCode string }
type City struct {
	GeoNameID uint
	Names     map[string]string
}
type Location struct {
	Latitude, Longitude float64
	TimeZone            string
}
type Geo struct {
	Country  Country
	City     City
	Location Location
}
type GraphError struct {
	Message string
	Path    []interface{}
}
type GraphQL struct {
	Variables     string
	RootFields    []string
	Types         map[string][]string
	Errors        []GraphError
	OperationType int
	HasErrors     bool
	IsGraphQL     bool
}
type MCP struct {
	IsMCP                                       bool
	JSONRPCMethod, PrimitiveType, PrimitiveName string
}
type Tyk struct {
	Method, Host, Path, RawPath                string
	ContentLength                              int64
	UserAgent                                  string
	Day                                        int
	Month                                      time.Month
	Year, Hour, ResponseCode                   int
	APIKey                                     string
	TimeStamp                                  time.Time
	APIVersion, APIName, APIID, OrgID, OauthID string
	RequestTime                                int64
	RawRequest, RawResponse, IPAddress         string
	Geo                                        Geo
	Network                                    Network
	Latency                                    Latency
	Tags                                       []string
	Alias                                      string
	TrackPath                                  bool
	ExpireAt                                   time.Time
	ApiSchema, OriginalPath, ListenPath        string
	GraphQLStats                               GraphQL
	MCPStats                                   MCP
	CollectionName                             string
}

func hx(b []byte, err error) string {
	if err != nil {
		panic(err)
	}
	return hex.EncodeToString(b)
}

func main() {
	long := time.Date(2126, 1, 2, 3, 4, 5, 678901234, time.UTC)
	iam := map[string]Iam{
		"full":     {1700000000, "colin", "allow", "policies p1 allow access", `{"resource":"r"}`, "[]", "[]", long},
		"empty":    {0, "u", "deny", "", "", "", "", time.Date(2030, 1, 1, 0, 0, 0, 0, time.UTC)},
		"zero":     {},
		"negative": {-1, "\xff\xfe raw", "allow", "\u00e9\u4e2d", "x", "", "", time.Date(1969, 12, 31, 23, 59, 59, 1000, time.UTC)},
		"far":      {1 << 40, "", "", "", "", "", "", time.Date(9999, 12, 31, 23, 59, 59, 999999999, time.UTC)},
		"beyond":   {1, "", "", "", "", "", "", time.Date(10001, 1, 1, 0, 0, 0, 0, time.UTC)},
	}
	full := Tyk{
		Method: "GET", Host: "example.com", Path: "/a", RawPath: "/a/\u00e9", ContentLength: 70000, UserAgent: "curl", Day: 2, Month: 1, Year: 2026, Hour: 3,
		ResponseCode: -1, APIKey: "k", TimeStamp: time.Date(2026, 1, 2, 3, 4, 5, 123456789, time.UTC), APIVersion: "v1", APIName: "n", APIID: "id", OrgID: "org", OauthID: "oa",
		RequestTime: 1 << 33, RawRequest: "R0VUIC8=", RawResponse: "/w==", IPAddress: "::1",
		Geo:     Geo{Country{"DE"}, City{1 << 31, map[string]string{"en": "Berlin"}}, Location{52.5, -13.25, "Europe/Berlin"}},
		Network: Network{-129, 2, 1 << 40, 4}, Latency: Latency{12, 11, 1}, Tags: []string{"a", "b"}, Alias: "al", TrackPath: true,
		ExpireAt: long, ApiSchema: "s", OriginalPath: "/o", ListenPath: "/l",
		GraphQLStats: GraphQL{"{}", []string{"r"}, map[string][]string{"T": {"f"}}, []GraphError{{"m", []interface{}{"p", 1}}}, 2, true, true},
		MCPStats:     MCP{true, "tools/call", "tool", "w"}, CollectionName: "c",
	}
	tyk := map[string]Tyk{"full": full, "zero": {}}
	out := map[string]map[string]string{"iam": {}, "tyk": {}, "tyk-v5": {}}
	for k, v := range iam {
		out["iam"][k] = hx(v5.Marshal(v))
	}
	for k, v := range tyk {
		out["tyk"][k] = hx(v2.Marshal(v))
		out["tyk-v5"][k] = hx(v5.Marshal(v))
	}
	if len(os.Args) > 1 { // read: what do Go's decoders make of our bytes
		var in map[string]map[string]string
		json.NewDecoder(os.Stdin).Decode(&in)
		res := map[string]map[string]interface{}{"iam": {}, "tyk": {}}
		for k, h := range in["iam"] {
			b, _ := hex.DecodeString(h)
			var r Iam
			if err := v5.Unmarshal(b, &r); err != nil {
				res["iam"][k] = err.Error()
			} else {
				r.ExpireAt = r.ExpireAt.UTC()
				res["iam"][k] = r
			}
		}
		for k, h := range in["tyk"] {
			b, _ := hex.DecodeString(h)
			var r Tyk
			if err := v2.Unmarshal(b, &r); err != nil {
				res["tyk"][k] = err.Error()
			} else {
				r.ExpireAt, r.TimeStamp = r.ExpireAt.UTC(), r.TimeStamp.UTC()
				res["tyk"][k] = r
			}
		}
		e := json.NewEncoder(os.Stdout)
		e.SetIndent("", " ")
		e.Encode(res)
		return
	}
	e := json.NewEncoder(os.Stdout)
	e.SetIndent("", " ")
	e.Encode(out)
}
