module github.com/prusik-go/prusik/ratelimit/ratelimittest/chiroutes

go 1.26.0

require (
	github.com/go-chi/chi/v5 v5.3.2
	github.com/prusik-go/prusik v0.0.0
	github.com/stretchr/testify v1.12.1
	go.uber.org/goleak v1.3.0
	pgregory.net/rapid v1.3.0
)

require go.yaml.in/yaml/v3 v3.0.5 // indirect

replace github.com/prusik-go/prusik => ../../../
