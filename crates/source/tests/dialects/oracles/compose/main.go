// Answers for docker compose's env files: a line is a file in hexadecimal, the answer a JSON
// object, or null for a file that is rejected.
package main

import (
	"bufio"
	"bytes"
	"encoding/hex"
	"encoding/json"
	"os"

	"github.com/compose-spec/compose-go/v2/dotenv"
	"github.com/sirupsen/logrus"
)

func main() {
	logrus.SetLevel(logrus.PanicLevel)
	out := bufio.NewWriter(os.Stdout)
	lines := bufio.NewScanner(os.Stdin)
	lines.Buffer(nil, 1<<24)
	for lines.Scan() {
		text, err := hex.DecodeString(lines.Text())
		var answer map[string]string
		if err == nil {
			answer, err = dotenv.Parse(bytes.NewReader(text))
		}
		if err != nil {
			answer = nil
		}
		shown, err := json.Marshal(answer)
		if err != nil {
			shown = []byte("null")
		}
		out.Write(append(shown, '\n'))
		out.Flush()
	}
}
