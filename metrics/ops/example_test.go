package ops_test

import (
	"fmt"
	"io/fs"
	"net/http"
	"net/http/httptest"

	"github.com/prusik-go/prusik/metrics/ops"
)

// What a program embeds, it can serve.
func Example() {
	mux := http.NewServeMux()
	mux.Handle("GET /ops/", http.StripPrefix("/ops", http.FileServerFS(ops.Files)))

	files, err := fs.Glob(ops.Files, "*")
	if err != nil {
		fmt.Println(err)
		return
	}
	for _, name := range files {
		rec := httptest.NewRecorder()
		mux.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/ops/"+name, http.NoBody))
		fmt.Println(rec.Code, name)
	}
	// Output:
	// 200 RUNBOOK.md
	// 200 alerts.yml
	// 200 dashboard.json
}
