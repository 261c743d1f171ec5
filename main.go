// massive-passive runs Nagios plugins by schedule on the hosts that they check,
// and brings their results to the monitoring core.
package main

import (
	"os"

	"massive-passive/internal/app"
)

func main() { os.Exit(app.Main(os.Args)) }
