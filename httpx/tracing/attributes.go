package tracing

import (
	"cmp"
	"net/http"
	"strconv"

	"go.opentelemetry.io/otel/attribute"
	semconv "go.opentelemetry.io/otel/semconv/v1.43.0"
)

// Keys the conventions have no name for. The correlation id has the one it has in log records and problems.
const (
	keyCorrelation = attribute.Key("correlation_id")
	keyAttempts    = attribute.Key("prusik.attempts")
	keyDelivery    = attribute.Key("prusik.delivery")
	keyStop        = attribute.Key("prusik.stop")
	keyAttempt     = attribute.Key("prusik.attempt")
	keyReason      = attribute.Key("prusik.reason")
	keyWait        = attribute.Key("prusik.wait_seconds")
	keyRetryAfter  = attribute.Key("prusik.retry_after_seconds")
)

// callAttributes describe a call.
func callAttributes(req *http.Request, service string) []attribute.KeyValue {
	return server(req, append(make([]attribute.KeyValue, 0, 4), semconv.HTTPRequestMethodKey.String(known(method(req))),
		semconv.ServicePeerName(service)))
}

// attemptAttributes describe an attempt. Its url.full, which the conventions require, has the origin alone: paths and
// queries of vendors hold phone numbers and tokens.
func attemptAttributes(req *http.Request, service, id string) []attribute.KeyValue {
	m := method(req)
	attrs := append(make([]attribute.KeyValue, 0, 8), semconv.HTTPRequestMethodKey.String(known(m)),
		semconv.ServicePeerName(service), keyCorrelation.String(id))
	if known(m) != m {
		attrs = append(attrs, semconv.HTTPRequestMethodOriginal(m))
	}
	if u := req.URL; u != nil {
		attrs = append(attrs, semconv.URLFull(u.Scheme+"://"+u.Host+"/REDACTED"))
	}
	return server(req, attrs)
}

// server appends where req goes.
func server(req *http.Request, attrs []attribute.KeyValue) []attribute.KeyValue {
	u := req.URL
	if u == nil {
		return attrs
	}
	attrs = append(attrs, semconv.ServerAddress(u.Hostname()))
	port, err := strconv.Atoi(u.Port())
	switch {
	case err == nil:
	case u.Scheme == "http":
		port = 80
	default:
		port = 443
	}
	return append(attrs, semconv.ServerPort(port))
}

// protocol is the version an answer came in, and not valid where its transport does not say.
func protocol(resp *http.Response) attribute.KeyValue {
	switch {
	case resp.ProtoMajor == 1 && resp.ProtoMinor == 0:
		return semconv.NetworkProtocolVersion("1.0")
	case resp.ProtoMajor == 1:
		return semconv.NetworkProtocolVersion("1.1")
	case resp.ProtoMajor > 1:
		return semconv.NetworkProtocolVersion(strconv.Itoa(resp.ProtoMajor))
	default:
		return attribute.KeyValue{}
	}
}

// known is a method of the conventions, or _OTHER: a caller may send any word.
func known(method string) string {
	switch method {
	case http.MethodConnect, http.MethodDelete, http.MethodGet, http.MethodHead, http.MethodOptions, http.MethodPatch,
		http.MethodPost, http.MethodPut, http.MethodTrace, "QUERY":
		return method
	default:
		return semconv.HTTPRequestMethodOther.Value.AsString()
	}
}

// spanName is the method, as the conventions have it for a client that knows no route.
func spanName(req *http.Request) string {
	m := method(req)
	if known(m) != m {
		return "HTTP"
	}
	return m
}

func method(req *http.Request) string { return cmp.Or(req.Method, http.MethodGet) }
