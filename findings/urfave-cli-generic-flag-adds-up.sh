#!/bin/sh
# urfave/cli v2 sets a GenericFlag first to what its variable of the environment holds and then to what the command line
# says, on the same value. A value that gathers what it is given, as one that may be repeated does, ends with both; a
# StringSliceFlag beside it ends with what the command line says alone.
# Seen with v2.27.7. This ends with 0 as long as that is so, and needs only Go.
set -eu
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
cd "$dir"
cat >go.mod <<'MOD'
module finding

go 1.24

require github.com/urfave/cli/v2 v2.27.7
MOD
cat >main.go <<'GO'
package main

import (
	"fmt"
	"os"
	"strings"

	"github.com/urfave/cli/v2"
)

type gathered []string

func (g *gathered) Set(value string) error { *g = append(*g, value); return nil }
func (g *gathered) String() string         { return strings.Join(*g, " ") }

func main() {
	var own gathered
	app := &cli.App{
		Flags: []cli.Flag{
			&cli.GenericFlag{Name: "own", EnvVars: []string{"OWN"}, Value: &own},
			&cli.StringSliceFlag{Name: "slice", EnvVars: []string{"SLICE"}},
		},
		Action: func(c *cli.Context) error {
			fmt.Printf("GenericFlag: %v, StringSliceFlag: %v\n", own, c.StringSlice("slice"))
			if len(own) != 2 || len(c.StringSlice("slice")) != 1 {
				return cli.Exit("that is another behaviour", 1)
			}
			return nil
		},
	}
	os.Setenv("OWN", "environment")
	os.Setenv("SLICE", "environment")
	if err := app.Run([]string{"finding", "--own", "line", "--slice", "line"}); err != nil {
		os.Exit(1)
	}
}
GO
go mod tidy >/dev/null 2>&1
go run .
