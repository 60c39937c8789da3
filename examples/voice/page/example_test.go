package page_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/prusik-go/prusik/examples/voice/page"
)

func ExampleHandler() {
	mux := http.NewServeMux()
	mux.Handle("GET /{$}", page.Handler())
	mux.Handle("GET /assets/", page.Handler())

	for _, path := range []string{"/", "/assets/progress.js", "/assets/nothing.js"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequest(http.MethodGet, path, http.NoBody))
		fmt.Println(w.Code, w.Header().Get("Content-Type"))
	}
	// Output:
	// 200 text/html; charset=utf-8
	// 200 text/javascript; charset=utf-8
	// 404 application/problem+json
}
