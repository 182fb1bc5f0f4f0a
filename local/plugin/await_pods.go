package main

import (
	"fmt"
	"regexp"
	"time"
)

const (
	// imagePatience is how long a pull may keep failing before the image counts as impossible to get.
	imagePatience = 10 * time.Second
	// imagePatienceBusy applies to failures that often pass by themselves: rate limits, time-outs, server errors.
	imagePatienceBusy = 60 * time.Second
)

var imageReasons = map[string]bool{
	"ErrImagePull": true, "ImagePullBackOff": true, "InvalidImageName": true, "ErrImageNeverPull": true,
}

var passingFailure = regexp.MustCompile(`(?i)too ?many ?requests|\b429\b|time-?out|deadline exceeded|\b50[0-9]\b|connection reset|unexpected EOF|pull QPS exceeded`)

// containerStates lists the states of a pod's containers, init containers first.
func containerStates(pod object) []object {
	var states []object
	for _, key := range []string{"initContainerStatuses", "containerStatuses"} {
		for _, each := range listAt(pod, "status", key) {
			if fields, ok := each.(object); ok {
				states = append(states, fields)
			}
		}
	}
	return states
}

// imageFailure names an image that has failed to be pulled for too long; again says when to look once more.
func imageFailure(pods []object, since func(key string) time.Duration) (fatal string, again time.Duration) {
	for _, pod := range pods {
		for _, each := range containerStates(pod) {
			reason, message := textAt(each, "state", "waiting", "reason"), textAt(each, "state", "waiting", "message")
			if !imageReasons[reason] {
				continue
			}
			patience := imagePatience
			if passingFailure.MatchString(message) {
				patience = imagePatienceBusy
			}
			waited := since("image " + uid(pod) + " " + textAt(each, "name"))
			if waited >= patience {
				return fmt.Sprintf("the image %q of container %q in Pod %s/%s cannot be pulled: [%s] %s",
					textAt(each, "image"), textAt(each, "name"), namespaceOf(pod), nameOf(pod), reason, message), 0
			}
			if left := patience - waited; again == 0 || left < again {
				again = left
			}
		}
	}
	return "", again
}

// podProblems describes what keeps pods from being ready, one line each.
func podProblems(pods []object) []string {
	var lines []string
	for _, pod := range pods {
		where := fmt.Sprintf("[Pod %s/%s]", namespaceOf(pod), nameOf(pod))
		if scheduled := conditionOf(pod, "PodScheduled"); textAt(scheduled, "status") == "False" {
			lines = append(lines, fmt.Sprintf("%s: [%s] %s", where, textAt(scheduled, "reason"), textAt(scheduled, "message")))
		}
		for _, each := range containerStates(pod) {
			if text := containerProblem(each); text != "" {
				lines = append(lines, fmt.Sprintf("%s: container %q: %s", where, textAt(each, "name"), text))
			}
		}
		if textAt(pod, "status", "phase") == "Failed" && len(containerStates(pod)) == 0 {
			lines = append(lines, fmt.Sprintf("%s: %s", where, podOutcome(pod)))
		}
	}
	return lines
}

func containerProblem(state object) string {
	if waiting := mapAt(state, "state", "waiting"); waiting != nil {
		switch reason := textAt(waiting, "reason"); reason {
		case "", "ContainerCreating", "PodInitializing":
			return ""
		case "CrashLoopBackOff":
			return fmt.Sprintf("[%s] restarted %d times; last exit code %d", reason, numberAt(state, 0, "restartCount"),
				numberAt(state, 0, "lastState", "terminated", "exitCode"))
		default:
			return fmt.Sprintf("[%s] %s", reason, textAt(waiting, "message"))
		}
	}
	if ended := mapAt(state, "state", "terminated"); ended != nil && numberAt(ended, 0, "exitCode") != 0 {
		return fmt.Sprintf("[%s] exit code %d %s", textAt(ended, "reason"), numberAt(ended, 0, "exitCode"), textAt(ended, "message"))
	}
	return ""
}

func podOutcome(pod object) string {
	return fmt.Sprintf("[%s] %s", textAt(pod, "status", "reason"), textAt(pod, "status", "message"))
}

func podReady(pod object) bool {
	return textAt(pod, "status", "phase") == "Succeeded" || condition(pod, "Ready") == "True"
}
