package oncall_test

import (
	"bytes"
	"cmp"
	"fmt"
	"html"
	"image"
	"image/color"
	"image/png"
	"maps"
	"math"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
)

// The picture is laid out on Grafana's grid, with its colours.
const (
	column, line   = 62, 30 // a unit of the grid, in pixels
	margin, header = 8, 44
	ink, faint     = "#ccccdc", "#8e8ea0"
	glyph          = 6.1 // the mean width of a character
)

var palette = []string{"#73BF69", "#F2CC0C", "#8AB8FF", "#FF780A", "#F2495C", "#5794F2", "#B877D9", "#37872D", "#FADE2A", "#C4162A", "#A352CC", "#56A64B"}

var named = map[string]string{"green": "#56A64B", "yellow": "#F2CC0C", "red": "#E02F44", "purple": "#A352CC", "text": "#8e8ea0"}

// draw makes a picture of the panels as the server answered them.
func draw(t *testing.T, path string, all []answer, from, to time.Time) {
	t.Helper()
	browser, err := exec.LookPath("chromium")
	require.NoError(t, err, "apt-get install chromium")
	height := 0
	var page strings.Builder
	for _, a := range all {
		g := a.GridPos
		x, y, w, h := margin+g.X*column, header+g.Y*line, g.W*column-margin, g.H*line-margin
		height = max(height, y+h)
		fmt.Fprintf(&page, `<svg style="left:%dpx;top:%dpx" width="%d" height="%d">`, x, y, w, h)
		if a.Type == "row" {
			text(&page, 2, 17, 15, ink, "start", "⌄ "+a.Title)
		} else {
			fmt.Fprintf(&page, `<rect width="%d" height="%d" rx="2" fill="#181b1f" stroke="#2c2f36"/>`, w, h)
			text(&page, 10, 18, 13, ink, "start", a.Title)
			p := &plot{Builder: &page, answer: a, w: float64(w), h: float64(h), from: from, to: to}
			p.draw()
		}
		page.WriteString("</svg>")
	}
	width := 24*column + margin
	dir := t.TempDir()
	file := filepath.Join(dir, "dashboard.html")
	require.NoError(t, os.WriteFile(file, []byte(fmt.Sprintf(`<!doctype html><meta charset="utf-8"><style>body{margin:0;background:#111217;height:%dpx}
svg{position:absolute;overflow:hidden}svg,h1{font-family:Inter,"DejaVu Sans",sans-serif}h1{margin:0;padding:11px 12px;font-size:19px;color:%s;font-weight:500}</style>
<h1>Prusik</h1>%s`, height+margin, ink, page.String())), 0o600))
	cmd := exec.CommandContext(t.Context(), browser, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run", "--hide-scrollbars",
		"--disable-background-networking", "--disable-component-update", "--disable-sync", "--user-data-dir="+filepath.Join(dir, "profile"),
		fmt.Sprintf("--window-size=%d,%d", width, height+margin), "--screenshot="+path, "file://"+file)
	out, err := cmd.CombinedOutput()
	require.NoError(t, err, "%s", out)
	slim(t, path)
}

// slim keeps the 256 colours that the picture has most of.
func slim(t *testing.T, path string) {
	t.Helper()
	f, err := os.Open(path)
	require.NoError(t, err)
	full, err := png.Decode(f)
	require.NoError(t, err)
	require.NoError(t, f.Close())
	counts := map[color.RGBA]int{}
	at := func(x, y int) color.RGBA { return color.RGBAModel.Convert(full.At(x, y)).(color.RGBA) }
	b := full.Bounds()
	for y := range b.Max.Y {
		for x := range b.Max.X {
			counts[at(x, y)]++
		}
	}
	most := slices.SortedFunc(maps.Keys(counts), func(a, b color.RGBA) int { return cmp.Compare(counts[b], counts[a]) })
	var colours color.Palette
	for _, c := range most[:min(len(most), 256)] {
		colours = append(colours, c)
	}
	nearest := map[color.RGBA]uint8{}
	for c := range counts {
		nearest[c] = uint8(colours.Index(c))
	}
	small := image.NewPaletted(b, colours)
	for y := range b.Max.Y {
		for x := range b.Max.X {
			small.SetColorIndex(x, y, nearest[at(x, y)])
		}
	}
	var out bytes.Buffer
	require.NoError(t, (&png.Encoder{CompressionLevel: png.BestCompression}).Encode(&out, small))
	require.NoError(t, os.WriteFile(path, out.Bytes(), 0o600))
	t.Logf("%s: %d kB", path, out.Len()/1000)
}

func text(b *strings.Builder, x, y, size float64, colour, anchor, s string) {
	fmt.Fprintf(b, `<text x="%.1f" y="%.1f" font-size="%.0f" fill="%s" text-anchor="%s">%s</text>`, x, y, size, colour, anchor, html.EscapeString(s))
}

// plot is one panel.
type plot struct {
	*strings.Builder

	answer

	w, h     float64
	from, to time.Time
	curves   []curve

	left, right, top, bottom float64 // of what is drawn, inside the axes
}

type curve struct {
	name, colour string
	values       []point
}

func (p *plot) draw() {
	if p.Type == "table" {
		p.table()
		return
	}
	for i, series := range p.results {
		for _, r := range series {
			name := p.Targets[i].LegendFormat
			for label, value := range r.Metric {
				name = strings.ReplaceAll(name, "{{"+label+"}}", value)
			}
			name = strings.TrimSpace(strings.NewReplacer("{{key}}", "").Replace(name))
			p.curves = append(p.curves, curve{name: name, values: r.Values})
		}
	}
	slices.SortStableFunc(p.curves, func(a, b curve) int { return cmp.Compare(a.name, b.name) })
	for i := range p.curves {
		p.curves[i].colour = palette[i%len(palette)]
	}
	p.left, p.right, p.top = 68, p.w-12, 32
	if p.Type == "state-timeline" {
		p.states()
		return
	}
	p.bottom = p.h - 26 - p.legend(p.names())
	p.lines()
}

func (p *plot) names() (entries [][2]string) {
	for _, c := range p.curves {
		entries = append(entries, [2]string{c.name, c.colour})
	}
	return entries
}

// legend writes names at the bottom, and returns its height.
func (p *plot) legend(entries [][2]string) float64 {
	const gap, most = 24, 4
	rows, x := [][][2]string{nil}, 12.0
	for _, e := range entries {
		w := gap + glyph*float64(len(e[0]))
		if last := len(rows) - 1; x+w > p.w-8 && len(rows[last]) > 0 {
			rows, x = append(rows, nil), 12
		}
		rows[len(rows)-1] = append(rows[len(rows)-1], e)
		x += w
	}
	if len(rows) > most {
		n := 0
		for _, row := range rows[most:] {
			n += len(row)
		}
		rows = rows[:most]
		rows[most-1] = append(rows[most-1][:len(rows[most-1])-1], [2]string{fmt.Sprintf("and %d more", n+1), "none"})
	}
	for i, row := range rows {
		x, y := 12.0, p.h-8-14*float64(len(rows)-1-i)
		for _, e := range row {
			fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="11" height="3" rx="1" fill="%s"/>`, x, y-5, e[1])
			text(p.Builder, x+15, y, 11, ink, "start", e[0])
			x += gap + glyph*float64(len(e[0]))
		}
	}
	return 14 * float64(len(rows))
}

func (p *plot) x(at float64) float64 {
	from := float64(p.from.UnixMilli()) / 1000
	return p.left + (at-from)/p.to.Sub(p.from).Seconds()*(p.right-p.left)
}

func (p *plot) seconds() {
	total := p.to.Sub(p.from).Seconds()
	every := 5.0
	for (p.right-p.left)/total*every < 42 {
		every += 5
	}
	for s := 0.0; s <= total; s += every {
		x := p.left + s/total*(p.right-p.left)
		fmt.Fprintf(p, `<path d="M%.1f %.1fV%.1f" stroke="#26282d"/>`, x, p.top, p.bottom)
		text(p.Builder, x, p.bottom+14, 11, faint, "middle", fmt.Sprintf("%.0f s", s))
	}
}

func (p *plot) lines() {
	stacked := p.FieldConfig.Defaults.Custom.Stacking.Mode == "normal"
	base := map[float64]float64{}
	lows := make([]map[float64]float64, len(p.curves))
	top := 0.0
	for i, c := range p.curves {
		lows[i] = map[float64]float64{}
		for j, v := range c.values {
			if math.IsNaN(v.value) || math.IsInf(v.value, 0) {
				continue
			}
			if stacked {
				lows[i][v.at] = base[v.at]
				base[v.at] += v.value
				c.values[j].value = base[v.at]
			}
			top = max(top, c.values[j].value)
		}
	}
	bottom := 0.0
	if m := p.FieldConfig.Defaults.Min; m != nil {
		bottom = *m
	}
	step := nice(top - bottom)
	if m := p.FieldConfig.Defaults.Max; m != nil {
		top, step = *m, (*m-bottom)/4
	} else {
		top = bottom + max(math.Ceil((top-bottom)/step-1e-9), 1)*step
	}
	y := func(v float64) float64 {
		return p.bottom - (min(v, top)-bottom)/(top-bottom)*(p.bottom-p.top)
	}
	p.seconds()
	for v := bottom; v <= top+step/2; v += step {
		fmt.Fprintf(p, `<path d="M%.1f %.1fH%.1f" stroke="#2c2f36"/>`, p.left, y(v), p.right)
		text(p.Builder, p.left-6, y(v)+4, 11, faint, "end", p.unit(v, step))
	}
	for i, c := range p.curves {
		for _, run := range runs(c.values) {
			var above, below strings.Builder
			for j, v := range run {
				fmt.Fprintf(&above, "%s%.1f %.1f", [2]string{"M", "L"}[min(j, 1)], p.x(v.at), y(v.value))
			}
			for _, v := range slices.Backward(run) {
				fmt.Fprintf(&below, "L%.1f %.1f", p.x(v.at), y(lows[i][v.at]))
			}
			if stacked {
				fmt.Fprintf(p, `<path d="%s%sZ" fill="%s" fill-opacity="0.35"/>`, above.String(), below.String(), c.colour)
			}
			fmt.Fprintf(p, `<path d="%s" fill="none" stroke="%s" stroke-width="1.5"/>`, above.String(), c.colour)
		}
	}
	for _, s := range p.FieldConfig.Defaults.Thresholds.Steps {
		if s.Value != nil && *s.Value <= top {
			fmt.Fprintf(p, `<path d="M%.1f %.1fH%.1f" stroke="%s" stroke-dasharray="6 5"/>`, p.left, y(*s.Value), p.right, named["red"])
		}
	}
}

// runs are the stretches without a gap.
func runs(values []point) (all [][]point) {
	for i, v := range values {
		switch {
		case math.IsNaN(v.value) || math.IsInf(v.value, 0):
			continue
		case i == 0 || len(all) == 0 || v.at-values[i-1].at > 1.5*scrapes.Seconds() || math.IsNaN(values[i-1].value):
			all = append(all, nil)
		}
		all[len(all)-1] = append(all[len(all)-1], v)
	}
	return all
}

// nice is a step for some four lines up to top.
func nice(top float64) float64 {
	if top <= 0 {
		return 0.25
	}
	power := math.Pow(10, math.Floor(math.Log10(top/4)))
	for _, m := range []float64{1, 2, 2.5, 5} {
		if top/(m*power) <= 5 {
			return m * power
		}
	}
	return 10 * power
}

func (p *plot) unit(v, step float64) string {
	digits := max(0, int(math.Ceil(-math.Log10(step)-1e-9)))
	if step*math.Pow10(digits) != math.Trunc(step*math.Pow10(digits)) {
		digits++
	}
	number := func(v float64, digits int) string { return strconv.FormatFloat(v, 'f', digits, 64) }
	switch p.FieldConfig.Defaults.Unit {
	case "percentunit":
		return number(100*v, 0) + "%"
	case "reqps":
		return number(v, digits) + " req/s"
	case "s":
		if step < 0.5 && v != 0 {
			return number(1000*v, max(0, digits-3)) + " ms"
		}
		return number(v, digits) + " s"
	default:
		return number(v, max(digits, deref(p.FieldConfig.Defaults.Decimals)))
	}
}

func deref(p *int) int {
	if p == nil {
		return 0
	}
	return *p
}

// states draws bars in the colours that the panel maps values to.
func (p *plot) states() {
	options := p.FieldConfig.Defaults.Mappings[0].Options
	var entries [][2]string
	for _, value := range slices.Sorted(maps.Keys(options)) {
		entries = append(entries, [2]string{options[value].Text, named[options[value].Color]})
	}
	p.left = 66
	p.bottom = p.h - 26 - p.legend(entries)
	p.seconds()
	row := (p.bottom - p.top) / float64(max(len(p.curves), 1))
	for i, c := range p.curves {
		y := p.top + row*float64(i)
		text(p.Builder, p.left-6, y+row/2+4, 11, ink, "end", c.name)
		for _, v := range c.values {
			colour := named[options[strconv.FormatFloat(v.value, 'f', -1, 64)].Color]
			end := min(p.x(v.at+scrapes.Seconds()), p.right)
			fmt.Fprintf(p, `<rect x="%.1f" y="%.1f" width="%.1f" height="%.1f" fill="%s" fill-opacity="0.85" shape-rendering="crispEdges"/>`,
				p.x(v.at), y+row*0.12, max(end-p.x(v.at), 0), row*0.76, colour)
		}
	}
}

// table is the matrix that the panel's transformation makes: a service a row, a policy a column.
func (p *plot) table() {
	cells, columns := map[string]map[string]string{}, map[string]bool{}
	for _, r := range p.results[0] {
		service, policy := r.Metric["service"], r.Metric["policy"]
		if cells[service] == nil {
			cells[service] = map[string]string{}
		}
		cells[service][policy] = strconv.FormatFloat(r.Values[len(r.Values)-1].value, 'f', -1, 64)
		columns[policy] = true
	}
	head := slices.Sorted(maps.Keys(columns))
	const first = 90
	wide := (p.w - first - 10) / float64(len(head))
	high := min((p.h-84)/float64(len(cells)), 30)
	for i, c := range head {
		for j, word := range strings.Split(c, "_") {
			text(p.Builder, first+wide*(float64(i)+0.5), 42+12*float64(j), 11, faint, "middle", word)
		}
	}
	for i, service := range slices.Sorted(maps.Keys(cells)) {
		y := 72 + high*(float64(i)+0.5)
		fmt.Fprintf(p, `<path d="M8 %.1fH%.1f" stroke="#2c2f36"/>`, y-high/2, p.w-8)
		text(p.Builder, 12, y+4, 12, ink, "start", service)
		for j, c := range head {
			text(p.Builder, first+wide*(float64(j)+0.5), y+4, 12, ink, "middle", cells[service][c])
		}
	}
}
