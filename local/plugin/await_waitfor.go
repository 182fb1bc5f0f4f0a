package main

import (
	"encoding/json"
	"fmt"
	"strings"

	"k8s.io/client-go/util/jsonpath"
)

// waitCondition is one thing that the pulumi.com/waitFor annotation asks for.
type waitCondition struct {
	text string
	met  func(self object) (bool, error)
}

// parseWaitFor reads the annotation: one expression, or a JSON list of them that must all hold.
func parseWaitFor(text string) ([]waitCondition, error) {
	expressions := []string{text}
	if strings.HasPrefix(strings.TrimSpace(text), "[") {
		expressions = nil
		if err := json.Unmarshal([]byte(text), &expressions); err != nil {
			return nil, fmt.Errorf("annotation %s: not a JSON list of strings: %w", annotationWaitFor, err)
		}
	}
	if len(expressions) == 0 {
		return nil, fmt.Errorf("annotation %s: the list is empty", annotationWaitFor)
	}
	conditions := make([]waitCondition, 0, len(expressions))
	for _, expression := range expressions {
		parsed, err := parseCondition(strings.TrimSpace(expression))
		if err != nil {
			return nil, fmt.Errorf("annotation %s: %w", annotationWaitFor, err)
		}
		conditions = append(conditions, parsed)
	}
	return conditions, nil
}

func parseCondition(expression string) (waitCondition, error) {
	if rest, found := strings.CutPrefix(expression, "condition="); found {
		kind, wanted, given := strings.Cut(rest, "=")
		if !given {
			wanted = "True"
		}
		if kind == "" || wanted == "" {
			return waitCondition{}, fmt.Errorf("%q: expected condition=Type or condition=Type=Status", expression)
		}
		return waitCondition{expression, func(self object) (bool, error) {
			for _, each := range listAt(self, "status", "conditions") {
				if strings.EqualFold(textAt(each, "type"), kind) {
					fresh := numberAt(each, 0, "observedGeneration") == 0 ||
						numberAt(each, 0, "observedGeneration") >= numberAt(self, 0, "metadata", "generation")
					return fresh && strings.EqualFold(textAt(each, "status"), wanted), nil
				}
			}
			return false, nil
		}}, nil
	}
	rest, found := strings.CutPrefix(expression, "jsonpath=")
	if !found {
		return waitCondition{}, fmt.Errorf("%q: expected jsonpath={.path}, jsonpath={.path}=value or condition=Type", expression)
	}
	path, wanted, exact := rest, "", false
	if end := strings.LastIndex(rest, "}"); end >= 0 && end+1 < len(rest) {
		path = rest[:end+1]
		if wanted, exact = strings.CutPrefix(rest[end+1:], "="); !exact || wanted == "" {
			return waitCondition{}, fmt.Errorf("%q: expected =value after the path", expression)
		}
	}
	if !strings.HasPrefix(path, "{") || !strings.HasSuffix(path, "}") {
		return waitCondition{}, fmt.Errorf("%q: the path must be in braces, as in jsonpath={.status.phase}", expression)
	}
	compiled := jsonpath.New("waitFor").AllowMissingKeys(true)
	if err := compiled.Parse(path); err != nil {
		return waitCondition{}, fmt.Errorf("%q: %w", expression, err)
	}
	return waitCondition{expression, func(self object) (bool, error) {
		results, err := compiled.FindResults(self)
		if err != nil {
			return false, err
		}
		for _, list := range results {
			for _, value := range list {
				if !exact || strings.TrimSpace(fmt.Sprint(value.Interface())) == strings.TrimSpace(wanted) {
					return true, nil
				}
			}
		}
		return false, nil
	}}, nil
}

// waitForRule is ready when all conditions hold on an object whose controller, if it says so, has seen the last change.
func waitForRule(conditions []waitCondition) *rule {
	return &rule{readCheck: true, needs: nothingElse, judge: func(f facts) verdict {
		if at(f.self, "status", "observedGeneration") != nil && !observed(f.self) {
			return verdict{issues: []string{"the controller has not seen the latest change yet"}}
		}
		var open []string
		for _, each := range conditions {
			met, err := each.met(f.self)
			if err != nil {
				return verdict{fatal: fmt.Sprintf("annotation %s: %q: %v", annotationWaitFor, each.text, err)}
			}
			if !met {
				open = append(open, fmt.Sprintf("%q does not hold", each.text))
			}
		}
		if len(open) == 0 {
			return verdict{ready: true}
		}
		return verdict{status: "Waiting for " + open[0], issues: open}
	}}
}
