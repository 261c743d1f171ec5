package logx

// How many bytes of what came from outside go into one field of a line.
const (
	MostName = 300
	MostText = 1000 // a text of ours with what came from outside in it
)

// Clip shortens a name, or a few words, that came from outside.
func Clip[T ~string | ~[]byte](name T) string { return cut(name, MostName) }

// ClipText shortens a text that holds what came from outside beside what we have
// to say about it.
func ClipText[T ~string | ~[]byte](text T) string { return cut(text, MostText) }

func cut[T ~string | ~[]byte](text T, most int) string {
	if len(text) > most {
		return string(text[:most]) + "…"
	}
	return string(text)
}
