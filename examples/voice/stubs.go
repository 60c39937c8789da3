package main

import "net/http"

// The e-mail and the calendar are stubs: canned data for development, behind INTEGRATIONS_STUB_MODE.

type event struct {
	ID    string `json:"id"`
	Title string `json:"title"`
	Start string `json:"start"`
	End   string `json:"end"`
}

func events(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, map[string]any{"stub": true, "events": []event{
		{"stub-1", "Call with the clinic", "2026-01-12T09:00:00Z", "2026-01-12T09:15:00Z"},
		{"stub-2", "Review of the greetings", "2026-01-12T14:00:00Z", "2026-01-12T14:30:00Z"},
	}})
}

type mail struct {
	ID      string `json:"id"`
	To      string `json:"to"`
	Subject string `json:"subject"`
}

func mails(w http.ResponseWriter, _ *http.Request) error {
	return answer(w, http.StatusOK, map[string]any{"stub": true, "messages": []mail{
		{"stub-1", "ann@example.com", "Your appointment is confirmed"},
	}})
}

func sendMail(w http.ResponseWriter, r *http.Request) error {
	var want struct{ To, Subject, Body string }
	if err := read(w, r, &want); err != nil {
		return err
	}
	if want.To == "" {
		return invalid("to", "Enter an address, such as ann@example.com.")
	}
	return answer(w, http.StatusCreated, map[string]any{"stub": true, "message": mail{"stub-2", want.To, want.Subject}})
}
