package logx

// MostText is how many bytes of a text from outside go into one field of a line.
const MostText = 300

// Clip shortens a name or a text that came from outside.
func Clip[T ~string | ~[]byte](text T) string {
	if len(text) > MostText {
		return string(text[:MostText]) + "…"
	}
	return string(text)
}
