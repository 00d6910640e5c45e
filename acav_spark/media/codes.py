"""What can be wrong with a piece of media: the codes that ``failures`` rows carry.

A code says what is wrong, never what to do; meanings are in ``CODES``.
"""

from __future__ import annotations

from typing import Final

NOT_FOUND: Final = "not_found"
PERMISSION_DENIED: Final = "permission_denied"
NOT_A_REGULAR_FILE: Final = "not_a_regular_file"
OUTSIDE_INPUT: Final = "outside_input"
DIRECTORY_LINK: Final = "directory_link"
UNREADABLE: Final = "unreadable"
INVALID_URI: Final = "invalid_uri"
SCHEME_NOT_ALLOWED: Final = "scheme_not_allowed"
HOST_NOT_FOUND: Final = "host_not_found"
ADDRESS_NOT_ALLOWED: Final = "address_not_allowed"
CONNECTION_FAILED: Final = "connection_failed"
TOO_MANY_REDIRECTS: Final = "too_many_redirects"
REQUEST_REFUSED: Final = "request_refused"
SERVER_ERROR: Final = "server_error"
INVALID_RESPONSE: Final = "invalid_response"
ENCODED_CONTENT: Final = "encoded_content"
WEB_PAGE: Final = "web_page"
WRONG_RANGE: Final = "wrong_range"
WRONG_LENGTH: Final = "wrong_length"
INCOMPLETE_DOWNLOAD: Final = "incomplete_download"
SOURCE_CHANGED: Final = "source_changed"
DOWNLOAD_TOO_LARGE: Final = "download_too_large"
DOWNLOAD_STALLED: Final = "download_stalled"
DOWNLOAD_TIME_LIMIT: Final = "download_time_limit"
NO_TEMPORARY_SPACE: Final = "no_temporary_space"
EMPTY_FILE: Final = "empty_file"
NOT_MEDIA: Final = "not_media"
INVALID_MEDIA: Final = "invalid_media"
NOT_A_VIDEO: Final = "not_a_video"
NO_VIDEO_STREAM: Final = "no_video_stream"
NO_AUDIO_STREAM: Final = "no_audio_stream"
NO_DURATION: Final = "no_duration"
NO_FRAMES: Final = "no_frames"
NO_SAMPLES: Final = "no_samples"
TOO_MANY_PIXELS: Final = "too_many_pixels"
TIME_LIMIT: Final = "time_limit"
MEMORY_LIMIT: Final = "memory_limit"
DECODER_CRASHED: Final = "decoder_crashed"
UNEXPECTED_ERROR: Final = "unexpected_error"

CODES: Final[dict[str, str]] = {
    NOT_FOUND: "The file, or what a symbolic link points to, does not exist.",
    PERMISSION_DENIED: "The file or folder may not be read by this user.",
    NOT_A_REGULAR_FILE: "A folder, pipe, socket or device, not a file.",
    OUTSIDE_INPUT: "A symbolic link that leads out of the input folder.",
    DIRECTORY_LINK: "A symbolic link to a folder; these are not followed.",
    UNREADABLE: "Reading failed: a broken disk or file system, or a vanished mount.",
    INVALID_URI: "Neither an absolute path nor a well-formed URI.",
    SCHEME_NOT_ALLOWED: "The URI's scheme is not among the allowed ones.",
    HOST_NOT_FOUND: "The host's name has no address.",
    ADDRESS_NOT_ALLOWED: "The host has a private, loopback or otherwise special "
    "address, or one that cannot be checked.",
    CONNECTION_FAILED: "No connection to the server, or one that broke.",
    TOO_MANY_REDIRECTS: "The server pointed elsewhere more often than allowed.",
    REQUEST_REFUSED: "The server refused the request for good (another 4xx status).",
    SERVER_ERROR: "The server was overloaded or broken (5xx, 408, 425 or 429).",
    INVALID_RESPONSE: "The server's answer is not what HTTP allows.",
    ENCODED_CONTENT: "The server compressed the file, though asked not to.",
    WEB_PAGE: "The server sent a web page in place of the file.",
    WRONG_RANGE: "The server answered with another range of bytes than asked for.",
    WRONG_LENGTH: "The server sent more bytes than it had stated.",
    INCOMPLETE_DOWNLOAD: "The server sent fewer bytes than it had stated.",
    SOURCE_CHANGED: "The file at the source changed while it was read.",
    DOWNLOAD_TOO_LARGE: "The file is larger than allowed.",
    DOWNLOAD_STALLED: "The server sent nothing for longer than allowed.",
    DOWNLOAD_TIME_LIMIT: "The download took longer than allowed.",
    NO_TEMPORARY_SPACE: "The temporary file of a download could not be written.",
    EMPTY_FILE: "The file has no bytes.",
    NOT_MEDIA: "The content is of no known media format, whatever its name says.",
    INVALID_MEDIA: "A media format, but too broken to open.",
    NOT_A_VIDEO: "A still picture, or sound with cover art.",
    NO_VIDEO_STREAM: "There is no moving picture in it.",
    NO_AUDIO_STREAM: "There is no sound in it.",
    NO_DURATION: "It lasts no time.",
    NO_FRAMES: "Its video stream, or the part asked for, has no frame that decodes.",
    NO_SAMPLES: "Its audio stream has no sample that decodes.",
    TOO_MANY_PIXELS: "Its frames, or those asked for, have more pixels than allowed.",
    TIME_LIMIT: "Reading or decoding took longer than allowed.",
    MEMORY_LIMIT: "Decoding wanted more memory than allowed.",
    DECODER_CRASHED: "The decoding process died.",
    UNEXPECTED_ERROR: "Decoding ended in an error that nobody foresaw.",
}
