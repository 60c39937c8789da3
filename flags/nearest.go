package flags

import "strings"

// didYouMean is a hint, and empty where there is none.
func didYouMean(s string) string {
	if s == "" {
		return ""
	}
	return ": did you mean " + s + "?"
}

// nearest is the candidate that differs from s by the fewest letters, and empty where even that differs by more than a third
// of them. Case does not count.
func nearest(s string, candidates []string) string {
	best, found := len(s)/3+1, ""
	for _, c := range candidates {
		if d := distance(strings.ToLower(s), strings.ToLower(c), best); d < best {
			best, found = d, c
		}
	}
	return found
}

// distance is how many letters have to be added, removed, replaced or swapped with their neighbour to make b of a; most
// where it is that or more.
func distance(a, b string, most int) int {
	if len(a)-len(b) >= most || len(b)-len(a) >= most || len(a) > 200 {
		return most
	}
	two, one, row := make([]int, len(b)+1), make([]int, len(b)+1), make([]int, len(b)+1)
	for j := range one {
		one[j] = j
	}
	for i := 1; i <= len(a); i++ {
		row[0] = i
		for j := 1; j <= len(b); j++ {
			replace := 1
			if a[i-1] == b[j-1] {
				replace = 0
			}
			row[j] = min(one[j]+1, row[j-1]+1, one[j-1]+replace)
			if i > 1 && j > 1 && a[i-1] == b[j-2] && a[i-2] == b[j-1] {
				row[j] = min(row[j], two[j-2]+1)
			}
		}
		two, one, row = one, row, two
	}
	return min(one[len(b)], most)
}
