"""Commands from Telegram: one poller a token, allow-listed chats, nothing old, nothing twice."""

import fcntl
import hashlib
import logging
import os
from pathlib import Path

from telegram import Bot, Message, Update
from telegram.error import Conflict, Forbidden, InvalidToken, RetryAfter, TelegramError

from hedge.errors import redacted
from hedge.model.numbers import SECOND
from hedge.roles import CommandDesk, NotifierContext
from hedge_telegram.config import Options
from hedge_telegram.errors import seconds

log = logging.getLogger("hedge_telegram")
POLL_S = 25
STALE_S = 60
"""A command that is older waited for an engine that was not there: the world has moved on."""
PAUSES_S = (1, 2, 5, 10, 30)
CLAIM_S = 30
CONFLICT_S = 30
STRANGERS_MAX = 20
ANSWER_CHARS_MAX = 4_000
CONFLICT = (
    "Commands are not heard here: another program asks Telegram for the messages of this bot"
    " (HTTP 409; an engine on another machine, or a webhook). Telegram lets one program listen to"
    " a bot: give each engine a bot of its own, or end the other program. Alerts still arrive."
)


class Poller:
    """Asks for updates until cancelled; what arrives is judged by the desk, never here."""

    def __init__(
        self, bot: Bot, token: str, options: Options, desk: CommandDesk, context: NotifierContext
    ) -> None:
        self._bot = bot
        self._token = token
        self._options = options
        self._desk = desk
        self._clock = context.clock
        self._name = context.name
        self._claims = context.claims_dir
        self._offset: int | None = None
        self._failures = 0
        self._conflict_said = False
        self._strangers: set[int] = set()

    async def run(self) -> None:
        """Poll; end for good only when Telegram does not know the bot."""
        claim = await self._claim()
        try:
            while await self._once():
                pass
        finally:
            if claim is not None:
                os.close(claim)

    async def _claim(self) -> int | None:
        """Wait until no other engine on this machine listens to this bot."""
        if not self._claims:
            return None
        handle = _lock_file(Path(self._claims), self._token)
        said = False
        try:
            while not _locked(handle):
                if not said:
                    log.warning("%s: another engine here listens to this bot already", self._name)
                    said = True
                await self._pause(CLAIM_S)
        except BaseException:
            os.close(handle)
            raise
        return handle

    async def _once(self) -> bool:
        try:
            updates = await self._bot.get_updates(
                offset=self._offset, timeout=POLL_S, allowed_updates=[Update.MESSAGE]
            )
        except Conflict:
            await self._explain_conflict()
            await self._pause(CONFLICT_S)
        except RetryAfter as error:
            await self._pause(seconds(error))
        except (InvalidToken, Forbidden) as error:
            log.warning("%s: no commands: %s", self._name, self._clean(error))
            return False
        except TelegramError as error:
            if not self._failures:
                log.warning("%s: commands are not heard: %s", self._name, self._clean(error))
            await self._pause(PAUSES_S[min(self._failures, len(PAUSES_S) - 1)])
            self._failures += 1
        else:
            self._failures = 0
            self._conflict_said = False
            for update in updates:
                self._offset = update.update_id + 1
                if update.message is not None:
                    await self._take(update.message, update.update_id)
        return True

    async def _take(self, message: Message, update_id: int) -> None:
        line = message.text or ""
        chat = message.chat.id
        if chat not in self._options.allow:
            if chat not in self._strangers and len(self._strangers) < STRANGERS_MAX:
                self._strangers.add(chat)
                log.warning("%s: chat %d is not in options.allow", self._name, chat)
            return
        if not line.startswith("/"):
            return
        sender = message.from_user.id if message.from_user else 0
        if self._clock.now() - int(message.date.timestamp()) * SECOND > STALE_S * SECOND:
            answer = f"That was written more than {STALE_S} s ago and was not done; write it again."
        else:
            by = f"telegram {chat}/{sender}"
            answer = await self._desk.answer(line, by=by, request_id=str(update_id))
        await self._say(chat, answer)

    async def _explain_conflict(self) -> None:
        if self._conflict_said:
            return
        self._conflict_said = True
        log.warning("%s: %s", self._name, CONFLICT)
        await self._say(self._options.chat, CONFLICT)

    async def _say(self, chat: int | str, text: str) -> None:
        try:
            await self._bot.send_message(chat, text[:ANSWER_CHARS_MAX])
        except TelegramError as error:
            log.warning("%s: an answer may be lost: %s", self._name, self._clean(error))

    async def _pause(self, pause_s: int) -> None:
        await self._clock.sleep_until(self._clock.now() + pause_s * SECOND)

    def _clean(self, error: TelegramError) -> str:
        return redacted(str(error).replace(self._token, "***"))


def _lock_file(folder: Path, token: str) -> int:
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    digest = hashlib.sha256(token.encode()).hexdigest()[:16]
    return os.open(folder / f"telegram-{digest}.lock", os.O_CREAT | os.O_RDWR, 0o600)


def _locked(handle: int) -> bool:
    try:
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True
