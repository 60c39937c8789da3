package twilioctx

import (
	"context"
	"fmt"
	"net/http"
	"net/url"
	"regexp"
	"sync"

	"github.com/twilio/twilio-go/client"
	openapi "github.com/twilio/twilio-go/rest/api/v2010"

	"github.com/prusik-go/prusik/errors"
)

// Client makes calls of twilio-go that honour a context. Make one with [New].
type Client struct {
	http *http.Client
	base *client.Client
}

var (
	accountPattern = regexp.MustCompile(`^AC[0-9a-fA-F]{32}$`)
	tokenPattern   = regexp.MustCompile(`^[a-zA-Z0-9]+$`) // what twilio-go sends; it refuses anything else
)

// New returns a client for one account. The httpClient is the one of httpx.NewClient, whose transport carries every
// request; its CheckRedirect is not used, as twilio-go does not follow redirects. The error names everything that is
// wrong, and holds no token.
func New(httpClient *http.Client, accountSID, authToken string) (*Client, error) {
	var faults []error
	if httpClient == nil || httpClient.Transport == nil {
		faults = append(faults, errors.New("twilioctx: httpClient has no Transport, want the client of httpx.NewClient: without it every call is naked"))
	}
	if !accountPattern.MatchString(accountSID) {
		faults = append(faults, fmt.Errorf("twilioctx: accountSID is %q, want AC and 32 hexadecimal digits", accountSID))
	}
	if !tokenPattern.MatchString(authToken) {
		faults = append(faults, errors.New("twilioctx: authToken is empty or not alphanumeric"))
	}
	if err := errors.Join(faults...); err != nil {
		return nil, err
	}
	base := &client.Client{Credentials: client.NewCredentials(accountSID, authToken)}
	base.SetAccountSid(accountSID)
	return &Client{http: httpClient, base: base}, nil
}

// API is Twilio's classic API, Messages and Calls among it, with ctx bound to each of its calls. It is cheap: make one
// per call, or per context.
func (c *Client) API(ctx context.Context) *openapi.ApiService {
	return openapi.NewApiServiceWithClient(c.Base(ctx))
}

// Base is what any other service of twilio-go is made of, with ctx bound to each of its calls:
// voice.NewApiServiceWithClient(c.Base(ctx)).
func (c *Client) Base(ctx context.Context) client.BaseClient { return c.bind(ctx) }

// Do runs fn, which makes one call, and says what became of its request. Of several requests it is the last one that
// counts. It returns fn's error, which holds an [*errors.Error] if the call failed: also where Twilio carried it out and
// twilio-go could not read the answer, which it reports as a mere JSON error and which is of delivery Delivered.
func (c *Client) Do(ctx context.Context, fn func(*openapi.ApiService) error) (Outcome, error) {
	return c.DoBase(ctx, func(base client.BaseClient) error { return fn(openapi.NewApiServiceWithClient(base)) })
}

// DoBase is [Client.Do] for the other services of twilio-go; see [Client.Base].
func (c *Client) DoBase(ctx context.Context, fn func(client.BaseClient) error) (Outcome, error) {
	b := c.bind(ctx)
	err := fn(b)
	o := b.outcome()
	return o, o.explain(err)
}

func (c *Client) bind(ctx context.Context) *bound {
	own := *c.base // SetTimeout and SetOauth of one call are not another's
	own.HTTPClient = &http.Client{
		Transport: c.http.Transport, Jar: c.http.Jar, Timeout: c.http.Timeout,
		CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }, // twilio-go's own rule
	}
	return &bound{Client: &own, ctx: ctx, last: unsent()}
}

// bound is a client of twilio-go with a context. Everything but sending is twilio-go's.
type bound struct {
	*client.Client
	ctx context.Context //nolint:containedctx // binding one is the purpose

	mu   sync.Mutex
	last Outcome
}

func (b *bound) outcome() Outcome {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.last
}

// SendRequest sends one request, on a throw-away client whose transport knows the context and sends only once.
func (b *bound) SendRequest(method, rawURL string, data url.Values, headers map[string]any, body ...byte) (*http.Response, error) {
	one, hc := *b.Client, *b.HTTPClient
	s := &send{ctx: b.ctx, next: hc.Transport, outcome: unsent()}
	s.timeout(hc.Timeout)
	hc.Transport, hc.Timeout, one.HTTPClient = s, 0, &hc

	resp, err := one.SendRequest(method, rawURL, data, headers, body...)
	b.mu.Lock()
	b.last = s.outcome
	b.mu.Unlock()
	if err != nil {
		s.end()
		return nil, s.failure(err)
	}
	return s.guard(resp), nil
}
