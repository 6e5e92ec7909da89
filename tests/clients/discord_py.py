"""Drives an unmodified discord.py against the simulated Discord, and says of each area whether it held.

    discord_py.py http://127.0.0.1:PORT TOKEN zlib|zstd

Writes one line an area, `ok NAME` or `failed NAME: why`, and ends with 1 if one failed. The world is the
demo's, and this program alone acts in it.
"""

import asyncio
import base64
import datetime
import io
import sys
import time
import traceback

ADDRESS, TOKEN, COMPRESSION = sys.argv[1:4]
if COMPRESSION == "zlib":
    # discord.py takes zstd wherever it can import it; None makes the import fail.
    sys.modules["zstandard"] = None

import aiohttp  # noqa: E402
import discord  # noqa: E402
import yarl  # noqa: E402
from discord import app_commands  # noqa: E402
from discord.gateway import DiscordWebSocket  # noqa: E402
from discord.http import Route  # noqa: E402

PATIENCE = 20
# The smallest picture that is one.
PIXEL = base64.b64decode(
    "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
)

# The two places in which discord.py has Discord's addresses.
Route.BASE = f"{ADDRESS}/api/v10"
DiscordWebSocket.DEFAULT_GATEWAY = yarl.URL(ADDRESS.replace("http://", "ws://"))


class Control:
    """The simulator's control API: the people, and what happens to connections."""

    def __init__(self, session):
        self.session = session

    async def call(self, method, path, body=None):
        async with self.session.request(method, f"{ADDRESS}/sim/v1{path}", json=body) as answer:
            text = await answer.text()
            assert answer.status < 300, f"{method} {path}: {answer.status} {text}"
            return await answer.json(content_type=None) if text else None

    async def say(self, channel, author, content):
        body = {"channel_id": str(channel.id), "author_id": str(author.id), "content": content}
        return int((await self.call("POST", "/messages", body))["id"])

    async def log(self):
        async with self.session.get(f"{ADDRESS}/sim/v1/log") as answer:
            return (await answer.text()).splitlines()


class Trial:
    """What every area works with."""

    def __init__(self, client, control):
        self.client, self.control = client, control

    @property
    def guild(self):
        return self.client.guilds[0]

    def member(self, name):
        return discord.utils.get(self.guild.members, name=name)

    def channel(self, name):
        return discord.utils.get(self.guild.text_channels, name=name)

    async def may(self, **permissions):
        """Gives the bot's own role more than it has in the demo."""
        role = self.guild.self_role
        wanted = discord.Permissions(role.permissions.value)
        wanted.update(**permissions)
        changed = self.until("guild_role_update", lambda _, after: after.permissions == wanted)
        body = {"permissions": str(wanted.value)}
        await self.control.call("PATCH", f"/roles/{self.guild.id}/{role.id}", body)
        await changed

    def until(self, event, check=lambda *_: True):
        """Begins at once to wait for an event, so that what follows cannot be missed."""
        waiting = self.client.wait_for(event, check=check, timeout=PATIENCE)
        return asyncio.get_running_loop().create_task(waiting)


AREAS = []


def area(function):
    AREAS.append(function)
    return function


async def refused(code, call):
    """Expects Discord's error `code`."""
    try:
        await call
    except discord.HTTPException as error:
        assert error.code == code, f"{error.code} instead of {code}: {error}"
    else:
        raise AssertionError(f"it was not refused with {code}")


@area
async def login(trial):
    assert trial.client.user.bot and trial.client.application_id == trial.client.user.id
    assert len(trial.client.guilds) == 1, trial.client.guilds
    guild = trial.guild
    assert guild.owner.name == "mara" and guild.me.id == trial.client.user.id
    assert {"general", "staff"} <= {channel.name for channel in guild.text_channels}
    assert guild.me.guild_permissions.moderate_members and not guild.me.guild_permissions.administrator
    fetched = await trial.client.fetch_guild(guild.id, with_counts=True)
    assert fetched.approximate_member_count == guild.member_count
    info = await trial.client.application_info()
    assert info.id == trial.client.user.id
    assert discord.utils.get(guild.roles, name="Moderator") > discord.utils.get(guild.roles, name="Ery")


@area
async def members(trial):
    guild = trial.guild
    assert guild.chunked and len(guild.members) == guild.member_count, guild.members
    found = await guild.query_members("bo")
    assert [member.name for member in found] == ["bob"], found
    listed = [member async for member in guild.fetch_members(limit=None)]
    assert len(listed) == guild.member_count
    assert (await guild.fetch_member(trial.member("bob").id)).name == "bob"
    assert guild.get_member(5) is None
    await refused(10013, trial.client.fetch_user(5))
    stranger = await trial.control.call("POST", "/users", {"username": "stranger"})
    await refused(10007, guild.fetch_member(int(stranger["id"])))


@area
async def messages(trial):
    channel, bob = trial.channel("general"), trial.member("bob")
    heard = trial.until("message", lambda message: message.author == bob)
    said = await trial.control.say(channel, bob, f"{trial.client.user.mention} hello")
    message = await heard
    assert message.id == said and trial.client.user in message.mentions
    echo = trial.until("message", lambda message: message.author == trial.client.user)
    reply = await message.reply("hello yourself", mention_author=False)
    assert (await echo).id == reply.id and reply.reference.resolved.id == message.id
    assert reply.mentions == []

    changed = trial.until("message_edit", lambda _, after: after.id == reply.id)
    await reply.edit(content="hello, edited")
    before, after = await changed
    assert (before.content, after.content) == ("hello yourself", "hello, edited")
    assert after.edited_at is not None
    gone = trial.until("message_delete", lambda message: message.id == reply.id)
    await reply.delete()
    await gone
    await refused(10008, channel.fetch_message(reply.id))
    await refused(50006, channel.send(""))
    await refused(50005, message.edit(content="mine now"))
    nonced = await channel.send("with a nonce", nonce="n-1")
    assert nonced.nonce == "n-1"


@area
async def reactions_and_pins(trial):
    channel, bob = trial.channel("general"), trial.member("bob")
    message = await channel.send("vote")
    added = trial.until("reaction_add", lambda reaction, user: user == bob)
    await message.add_reaction("\N{THUMBS UP SIGN}")
    body = {"channel_id": str(channel.id), "message_id": str(message.id), "user_id": str(bob.id),
            "emoji": "\N{THUMBS UP SIGN}"}
    await trial.control.call("POST", "/reactions", body)
    reaction, _ = await added
    assert reaction.count == 2 and reaction.me
    assert {user.name async for user in reaction.users()} == {"bob", trial.client.user.name}
    removed = trial.until("reaction_remove", lambda _, user: user == bob)
    await message.remove_reaction("\N{THUMBS UP SIGN}", bob)
    await removed
    await message.clear_reactions()
    assert (await channel.fetch_message(message.id)).reactions == []
    await refused(10014, message.add_reaction("nonsense"))

    told = trial.until("guild_channel_pins_update")
    await message.pin(reason="for all to see")
    await told
    assert message.id in [pinned.id async for pinned in channel.pins()]
    await message.unpin()
    assert message.id not in [pinned.id async for pinned in channel.pins()]


@area
async def embeds_and_files(trial):
    channel = trial.channel("general")
    embed = discord.Embed(title="Menu", description="Today", colour=0x336699, url="https://example.org/menu",
                          timestamp=datetime.datetime.now(datetime.timezone.utc))
    embed.add_field(name="Soup", value="Leek").set_footer(text="Enjoy").set_author(name="The kitchen")
    files = [discord.File(io.BytesIO(b"hello"), "note.txt", description="a note"),
             discord.File(io.BytesIO(bytes(range(256))), "SPOILER_data.bin")]
    message = await channel.send("see", embed=embed, files=files)
    sent = message.embeds[0]
    assert (sent.title, sent.colour.value, sent.fields[0].value) == ("Menu", 0x336699, "Leek")
    assert sent.footer.text == "Enjoy" and sent.author.name == "The kitchen" and sent.timestamp
    note, data = message.attachments
    assert (note.filename, note.description, note.size) == ("note.txt", "a note", 5)
    assert await note.read() == b"hello" and await data.read() == bytes(range(256))
    assert data.is_spoiler()
    fewer = await message.edit(attachments=[note])
    assert [attachment.filename for attachment in fewer.attachments] == ["note.txt"]


@area
async def history(trial):
    channel, alice = trial.channel("off-topic"), trial.member("alice")
    ids = [await trial.control.say(channel, alice, f"line {index}") for index in range(120)]
    newest = [message.id async for message in channel.history(limit=120)]
    assert newest == ids[::-1], "the newest first, over two pages"
    after = [message.id async for message in channel.history(after=discord.Object(ids[100]), limit=None)]
    assert after == ids[101:], "the oldest first"
    around = [message.id async for message in channel.history(around=discord.Object(ids[50]), limit=11)]
    assert sorted(around) == ids[45:56]
    purged = await channel.purge(limit=30)
    assert sorted(message.id for message in purged) == ids[90:]
    assert (await channel.fetch_message(ids[89])).content == "line 89"


@area
async def moderation(trial):
    guild, bob, theo = trial.guild, trial.member("bob"), trial.member("theo")
    await trial.may(manage_nicknames=True)
    silenced = trial.until("member_update", lambda _, after: after.id == bob.id and after.is_timed_out())
    await bob.timeout(datetime.timedelta(minutes=10), reason="too loud \N{SPEAKER}")
    await silenced
    await bob.timeout(None)
    muted = discord.utils.get(guild.roles, name="Muted")
    await bob.add_roles(muted, reason="a while")
    assert muted in (await guild.fetch_member(bob.id)).roles
    await bob.remove_roles(muted)
    await bob.edit(nick="Bobby")
    assert (await guild.fetch_member(bob.id)).nick == "Bobby"
    role = await guild.create_role(name="Helper", colour=0x00FF00, mentionable=True)
    assert (await role.edit(name="Helpers")).name == "Helpers"
    await role.delete()
    await refused(50013, theo.timeout(datetime.timedelta(minutes=1)))
    await refused(50013, theo.ban())

    nils = trial.member("nils")
    left = trial.until("member_remove", lambda member: member.id == nils.id)
    await nils.kick(reason="spam")
    await left
    yuki = trial.member("yuki")
    spam = await trial.control.say(trial.channel("general"), yuki, "buy this")
    banned = trial.until("member_ban", lambda _, user: user.id == yuki.id)
    await yuki.ban(reason="spam", delete_message_seconds=3600)
    await banned
    await refused(10008, trial.channel("general").fetch_message(spam))
    assert [entry.user.id async for entry in guild.bans()] == [yuki.id]
    assert (await guild.fetch_ban(yuki)).reason == "spam"
    await guild.unban(yuki)
    await refused(10026, guild.unban(yuki))


@area
async def audit_log(trial):
    guild = trial.guild
    actions = [entry async for entry in guild.audit_logs(limit=50)]
    kinds = [entry.action for entry in actions]
    for wanted in (discord.AuditLogAction.kick, discord.AuditLogAction.ban, discord.AuditLogAction.unban,
                   discord.AuditLogAction.member_update, discord.AuditLogAction.member_role_update,
                   discord.AuditLogAction.role_create, discord.AuditLogAction.message_pin):
        assert wanted in kinds, f"{wanted} is not among {kinds}"
    kicks = [entry async for entry in guild.audit_logs(action=discord.AuditLogAction.kick)]
    assert [entry.reason for entry in kicks] == ["spam"]
    assert kicks[0].user.id == trial.client.user.id
    timeout = next(entry for entry in actions if entry.reason == "too loud \N{SPEAKER}")
    assert timeout.target.name == "bob" and timeout.after.timed_out_until is not None
    live = trial.until("audit_log_entry_create")
    await trial.member("bob").edit(nick=None, reason="live")
    assert (await live).reason == "live"


@area
async def channels(trial):
    guild = trial.guild
    made = trial.until("guild_channel_create")
    channel = await guild.create_text_channel("workshop", topic="Saws", slowmode_delay=5)
    assert (await made).id == channel.id
    changed = trial.until("guild_channel_update", lambda _, after: after.topic == "Hammers")
    await channel.edit(topic="Hammers")
    await changed
    bob = trial.member("bob")
    await channel.set_permissions(bob, send_messages=False)
    found = await trial.client.fetch_channel(channel.id)
    assert found.overwrites_for(bob).send_messages is False
    await channel.set_permissions(bob, overwrite=None)
    gone = trial.until("guild_channel_delete", lambda deleted: deleted.id == channel.id)
    await channel.delete()
    await gone
    async with trial.channel("general").typing():
        pass
    dm = await bob.create_dm()
    heard = trial.until("message", lambda message: message.channel.id == dm.id and message.author == bob)
    await dm.send("psst")
    opened = {"channel_id": str(dm.id), "author_id": str(bob.id), "content": "what?"}
    await trial.control.call("POST", "/messages", opened)
    assert (await heard).content == "what?"


@area
async def threads(trial):
    channel, bob = trial.channel("general"), trial.member("bob")
    made = trial.until("thread_create")
    message = await channel.send("let us talk about it")
    thread = await message.create_thread(name="Talk", auto_archive_duration=60)
    assert (await made).id == thread.id == message.id
    await refused(160004, message.create_thread(name="Again"))
    await thread.send("in here")
    await thread.add_user(bob)
    assert {member.id for member in await thread.fetch_members()} == {bob.id, trial.client.user.id}
    await thread.remove_user(bob)
    assert thread.id in [active.id for active in await trial.guild.active_threads()]
    archived = trial.until("thread_update", lambda _, after: after.archived)
    await thread.edit(archived=True)
    await archived
    assert thread.id in [old.id async for old in channel.archived_threads()]
    private = await channel.create_thread(name="Quiet", type=discord.ChannelType.private_thread)
    assert private.is_private()
    gone = trial.until("thread_delete", lambda deleted: deleted.id == private.id)
    await private.delete()
    await gone


@area
async def forums(trial):
    forum = await trial.guild.create_forum(
        "questions", available_tags=[discord.ForumTag(name="open"), discord.ForumTag(name="solved")])
    opened, solved = forum.available_tags
    post = await forum.create_thread(name="How?", content="How is it done?", applied_tags=[opened])
    assert post.message.content == "How is it done?" and post.thread.parent_id == forum.id
    assert [tag.name for tag in post.thread.applied_tags] == ["open"]
    await post.thread.send("Like this.")
    edited = await post.thread.edit(applied_tags=[solved], locked=True)
    assert [tag.name for tag in edited.applied_tags] == ["solved"] and edited.locked
    assert [message.content async for message in post.thread.history()] == ["Like this.", "How is it done?"]
    await forum.delete()


@area
async def invites(trial):
    channel = trial.channel("general")
    made = trial.until("invite_create")
    invite = await channel.create_invite(max_age=3600, max_uses=2, unique=True, reason="a guest")
    assert (await made).code == invite.code and invite.max_uses == 2
    fetched = await trial.client.fetch_invite(invite.code, with_counts=True)
    assert fetched.guild.id == trial.guild.id and fetched.approximate_member_count > 0
    assert invite.code in [found.code for found in await channel.invites()]
    assert invite.code in [found.code for found in await trial.guild.invites()]
    gone = trial.until("invite_delete", lambda deleted: deleted.code == invite.code)
    await invite.delete()
    await gone
    await refused(10006, trial.client.fetch_invite(invite.code))


@area
async def emojis(trial):
    guild = trial.guild
    await trial.may(manage_expressions=True, create_expressions=True)
    told = trial.until("guild_emojis_update")
    emoji = await guild.create_custom_emoji(name="tide", image=PIXEL, reason="for the harbour")
    await told
    assert emoji in guild.emojis and str(emoji) == f"<:tide:{emoji.id}>"
    message = await trial.channel("general").send(f"look {emoji}")
    await message.add_reaction(emoji)
    fetched = await trial.channel("general").fetch_message(message.id)
    assert fetched.reactions[0].emoji == emoji and fetched.reactions[0].me
    renamed = await emoji.edit(name="ebb")
    assert renamed.name == "ebb"
    assert [found.name for found in await guild.fetch_emojis()] == ["ebb"]
    await emoji.delete()
    await refused(10014, guild.fetch_emoji(emoji.id))


@area
async def scheduled_events(trial):
    guild, bob = trial.guild, trial.member("bob")
    await trial.may(create_events=True, manage_events=True)
    start = discord.utils.utcnow() + datetime.timedelta(days=1)
    outside = {"entity_type": discord.EntityType.external, "privacy_level": discord.PrivacyLevel.guild_only}
    made = trial.until("scheduled_event_create")
    event = await guild.create_scheduled_event(
        name="Regatta", description="Boats", location="The quay", start_time=start,
        end_time=start + datetime.timedelta(hours=2), **outside)
    assert (await made).id == event.id and event.location == "The quay"
    joined = trial.until("scheduled_event_user_add")
    await trial.control.call("PUT", f"/scheduled-events/{guild.id}/{event.id}/users/{bob.id}")
    assert (await joined)[1] == bob
    assert [user.id async for user in event.users()] == [bob.id]
    assert (await guild.fetch_scheduled_event(event.id)).user_count == 1
    changed = trial.until("scheduled_event_update", lambda _, after: after.name == "Great regatta")
    await event.edit(name="Great regatta")
    await changed
    event = await event.start()
    assert (await guild.fetch_scheduled_event(event.id)).status is discord.EventStatus.active
    await event.end()
    other = await guild.create_scheduled_event(
        name="Never", location="Nowhere", start_time=start, end_time=start + datetime.timedelta(hours=1), **outside)
    gone = trial.until("scheduled_event_delete", lambda deleted: deleted.id == other.id)
    await other.delete()
    await gone
    with_past = guild.create_scheduled_event(
        name="Past", location="Here", start_time=start - datetime.timedelta(days=2),
        end_time=start + datetime.timedelta(hours=1), **outside)
    await refused(50035, with_past)


@area
async def webhooks(trial):
    channel = trial.channel("general")
    await trial.may(manage_webhooks=True)
    told = trial.until("webhooks_update")
    webhook = await channel.create_webhook(name="Weather", reason="forecasts")
    assert (await told).id == channel.id
    assert webhook.id in [found.id for found in await channel.webhooks()]
    heard = trial.until("message", lambda message: message.webhook_id == webhook.id)
    sent = await webhook.send("rain", username="Cloud", wait=True, embed=discord.Embed(title="Today"))
    message = await heard
    assert (message.id, message.author.name, message.content) == (sent.id, "Cloud", "rain")
    assert (await sent.edit(content="sun")).content == "sun"
    assert (await webhook.fetch_message(sent.id)).content == "sun"
    await sent.delete()
    thread = await channel.create_thread(name="Forecast", type=discord.ChannelType.public_thread)
    inside = await webhook.send("in a thread", thread=thread, wait=True)
    assert inside.channel.id == thread.id
    by_url = discord.Webhook.partial(webhook.id, webhook.token, session=trial.control.session)
    await by_url.send("by its token alone", file=discord.File(io.BytesIO(b"x"), "x.txt"))
    assert (await webhook.edit(name="Climate")).name == "Climate"
    await webhook.delete()
    await refused(10015, by_url.send("gone"))
    await refused(50035, channel.create_webhook(name="Clyde"))


@area
async def polls(trial):
    channel, bob = trial.channel("general"), trial.member("bob")
    poll = discord.Poll(question="Soup?", duration=datetime.timedelta(hours=1))
    poll.add_answer(text="Leek", emoji="\N{LEAFY GREEN}").add_answer(text="Fish")
    message = await channel.send(poll=poll)
    assert message.poll.question == "Soup?" and [answer.text for answer in message.poll.answers] == ["Leek", "Fish"]
    voted = trial.until("poll_vote_add", lambda user, answer: user == bob)
    await trial.control.call("POST", "/poll-votes", {
        "channel_id": str(channel.id), "message_id": str(message.id), "user_id": str(bob.id), "answer_id": 2})
    _, answer = await voted
    assert answer.id == 2
    fetched = await channel.fetch_message(message.id)
    voters = [user.id async for user in fetched.poll.answers[1].voters()]
    assert voters == [bob.id]
    ended = await fetched.end_poll()
    assert ended.poll.is_finalised() and ended.poll.answers[1].vote_count == 1
    await refused(520003, ended.edit(content="No soup."))


@area
async def guild_settings(trial):
    guild = trial.guild
    await trial.may(manage_guild=True)
    changed = trial.until("guild_update", lambda _, after: after.name == "New harbour")
    edited = await guild.edit(name="New harbour", description="Boats and cake",
                              verification_level=discord.VerificationLevel.low,
                              default_notifications=discord.NotificationLevel.only_mentions,
                              system_channel=trial.channel("general"), reason="a fresh start")
    await changed
    assert (edited.name, edited.verification_level) == ("New harbour", discord.VerificationLevel.low)
    fetched = await trial.client.fetch_guild(guild.id)
    assert fetched.default_notifications is discord.NotificationLevel.only_mentions
    assert (await anext(guild.audit_logs(action=discord.AuditLogAction.guild_update))).reason == "a fresh start"
    category = await guild.create_category("Docks")
    inside = await category.create_voice_channel("Talk", bitrate=64000, user_limit=5)
    assert inside.category_id == category.id and inside.user_limit == 5
    await inside.delete()
    await category.delete()


@area
async def slash_commands(trial):
    client, guild, channel = trial.client, trial.guild, trial.channel("general")
    tree, bob = app_commands.CommandTree(client), trial.member("bob")

    @tree.command(description="Greets somebody")
    @app_commands.describe(who="whom to greet", times="how often")
    async def greet(interaction: discord.Interaction, who: discord.Member, times: app_commands.Range[int, 1, 5] = 1):
        assert interaction.user == bob and interaction.channel.id == channel.id
        assert interaction.permissions.send_messages and interaction.app_permissions.send_messages
        await interaction.response.send_message(" ".join([f"hello {who.name}"] * times), ephemeral=True)

    @tree.command(description="Thinks for a while")
    async def think(interaction: discord.Interaction):
        await interaction.response.defer(thinking=True)
        await interaction.edit_original_response(content="thought")
        more = await interaction.followup.send("and another thought", wait=True)
        await more.edit(content="and a better one")
        assert (await interaction.original_response()).content == "thought"

    @tree.command(description="Finds a dish")
    async def dish(interaction: discord.Interaction, name: str):
        await interaction.response.send_message(name)

    @dish.autocomplete("name")
    async def dishes(interaction: discord.Interaction, current: str):
        return [app_commands.Choice(name=name, value=name) for name in ("soup", "salad") if name.startswith(current)]

    @tree.context_menu(name="Quote")
    async def quote(interaction: discord.Interaction, message: discord.Message):
        await interaction.response.send_message(f"> {message.content}")

    tree.copy_global_to(guild=guild)
    synced = await tree.sync(guild=guild)
    assert {command.name for command in synced} == {"greet", "think", "dish", "Quote"}
    assert {command.name for command in await tree.fetch_commands(guild=guild)} == {"greet", "think", "dish", "Quote"}

    async def use(**what):
        body = {"user_id": str(bob.id), "channel_id": str(channel.id), "wait": True, **what}
        told = await trial.control.call("POST", "/interactions", body)
        assert told["state"] == "answered", told
        return told

    told = await use(type="command", command="greet", options={"who": str(trial.member("alice").id), "times": 2})
    assert told["response"]["type"] == 4
    assert told["response"]["message"]["content"] == "hello alice hello alice"
    assert told["response"]["message"]["flags"] & 64
    told = await use(type="command", command="think")
    assert told["response"]["type"] == 5
    deadline = time.monotonic() + PATIENCE
    while not told["followups"] or told["followups"][0]["content"] != "and a better one":
        assert time.monotonic() < deadline, told
        await asyncio.sleep(0.05)
        told = await trial.control.call("GET", f"/interactions/{told['id']}")
    assert told["response"]["message"]["content"] == "thought"
    told = await use(type="autocomplete", command="dish", options={"name": "so"}, focused="name")
    assert [choice["value"] for choice in told["response"]["choices"]] == ["soup"]
    said = await trial.control.say(channel, trial.member("alice"), "to be quoted")
    told = await use(type="command", command="Quote", target_id=str(said))
    assert told["response"]["message"]["content"] == "> to be quoted"
    tree.clear_commands(guild=guild)
    assert await tree.sync(guild=guild) == []


@area
async def components(trial):
    client, channel, bob = trial.client, trial.channel("general"), trial.member("bob")
    done = []

    class Order(discord.ui.Modal, title="Order"):
        dish = discord.ui.TextInput(label="Dish", max_length=20)

        async def on_submit(self, interaction):
            done.append(("modal", self.dish.value))
            await interaction.response.send_message(f"one {self.dish.value}")

    class Menu(discord.ui.View):
        @discord.ui.button(label="Order", style=discord.ButtonStyle.primary)
        async def order(self, interaction, button):
            await interaction.response.send_modal(Order())

        @discord.ui.button(label="Close", style=discord.ButtonStyle.danger)
        async def close(self, interaction, button):
            button.disabled = True
            await interaction.response.edit_message(content="closed", view=self)

        @discord.ui.select(options=[discord.SelectOption(label="Soup", value="soup"),
                                    discord.SelectOption(label="Salad", value="salad")])
        async def choose(self, interaction, select):
            done.append(("select", select.values))
            await interaction.response.defer()

        @discord.ui.select(cls=discord.ui.UserSelect, placeholder="Who?")
        async def person(self, interaction, select):
            done.append(("user", [user.name for user in select.values]))
            await interaction.response.defer()

    view = Menu()
    message = await channel.send("menu", view=view)
    order, close = view.order.custom_id, view.close.custom_id

    async def use(**what):
        body = {"user_id": str(bob.id), "channel_id": str(channel.id), "wait": True, **what}
        told = await trial.control.call("POST", "/interactions", body)
        assert told["state"] == "answered", told
        return told

    told = await use(type="button", message_id=str(message.id), custom_id=order)
    assert told["response"]["type"] == 9, told
    field = told["response"]["modal"]["components"][0]["components"][0]["custom_id"]
    told = await use(type="modal", interaction_id=told["id"], fields={field: "Soup"})
    assert told["response"]["message"]["content"] == "one Soup"
    told = await use(type="select", message_id=str(message.id), custom_id=view.choose.custom_id, values=["salad"])
    assert told["response"]["type"] == 6
    alice = trial.member("alice")
    await use(type="select", message_id=str(message.id), custom_id=view.person.custom_id, values=[str(alice.id)])
    assert done == [("modal", "Soup"), ("select", ["salad"]), ("user", ["alice"])], done
    told = await use(type="button", message_id=str(message.id), custom_id=close)
    assert told["response"]["type"] == 7
    fetched = await channel.fetch_message(message.id)
    assert fetched.content == "closed" and fetched.components[0].children[1].disabled
    view.stop()


@area
async def rate_limits(trial):
    channel = trial.channel("recipes")
    before, began = len(await trial.control.log()), time.monotonic()
    sent = [await channel.send(f"dish {index}") for index in range(12)]
    assert len(sent) == 12 and time.monotonic() - began > 1, "twelve do not fit into one window"
    lines = (await trial.control.log())[before:]
    assert len(lines) == 12 and not any('"status":429' in line for line in lines)
    # One that comes without warning is waited for, and the message is sent once.
    fault = {"route": "POST /channels/{channel_id}/messages", "kind": "rate_limit", "count": 1, "delay_ms": 300}
    await trial.control.call("POST", "/faults", fault)
    message = await channel.send("after a wait")
    newest = [found.id async for found in channel.history(limit=2)]
    assert newest == [message.id, sent[-1].id]
    await trial.control.call("POST", "/faults", {**fault, "kind": "error", "status": 502})
    assert (await channel.send("after a failure")).content == "after a failure"


@area
async def resuming(trial):
    channel, bob = trial.channel("general"), trial.member("bob")
    heard, resumed = [], asyncio.Event()

    async def on_message(message):
        if message.channel.id == channel.id:
            heard.append(message.id)

    async def on_resumed():
        resumed.set()

    trial.client.on_message, trial.client.on_resumed = on_message, on_resumed
    identifies = (await trial.control.call("GET", "/gateway"))["identifies"]
    said = []
    for way in ("drop", "reconnect"):
        said += [await trial.control.say(channel, bob, f"before {way} {index}") for index in range(5)]
        resumed.clear()
        await trial.control.call("POST", "/gateway", {"do": way})
        said += [await trial.control.say(channel, bob, f"during {way} {index}") for index in range(30)]
        await asyncio.wait_for(resumed.wait(), PATIENCE)
        said += [await trial.control.say(channel, bob, f"after {way} {index}") for index in range(5)]
    deadline = time.monotonic() + PATIENCE
    while len(heard) < len(said) and time.monotonic() < deadline:
        await asyncio.sleep(0.05)
    assert heard == said, f"heard {len(heard)} of {len(said)}, {len(set(heard))} different"
    assert (await trial.control.call("GET", "/gateway"))["identifies"] == identifies, "it resumed"
    del trial.client.on_message, trial.client.on_resumed

    ready = trial.until("ready")
    await trial.control.call("POST", "/gateway", {"do": "invalid"})
    await ready
    assert (await trial.control.call("GET", "/gateway"))["identifies"] == identifies + 1
    again = trial.until("message", lambda message: message.channel.id == channel.id)
    said = await trial.control.say(channel, bob, "once more")
    assert (await again).id == said


async def run(function, trial):
    try:
        await asyncio.wait_for(function(trial), 90)
    except Exception:
        why = " | ".join(line.strip() for line in traceback.format_exc().splitlines()[-6:])
        print(f"failed {function.__name__}: {why}", flush=True)
        return False
    print(f"ok {function.__name__}", flush=True)
    return True


async def main():
    client = discord.Client(intents=discord.Intents.all())
    ready = asyncio.Event()

    @client.event
    async def on_ready():
        ready.set()

    wanted = sys.argv[4:]
    async with client, aiohttp.ClientSession() as session:
        connection = asyncio.create_task(client.start(TOKEN))
        waiting = asyncio.create_task(ready.wait())
        await asyncio.wait({connection, waiting}, timeout=PATIENCE, return_when=asyncio.FIRST_COMPLETED)
        if not ready.is_set():
            waiting.cancel()
            raise connection.exception() if connection.done() else TimeoutError("it is not ready")
        used = discord.utils._ActiveDecompressionContext.COMPRESSION_TYPE
        assert used == f"{COMPRESSION}-stream", used
        trial = Trial(client, Control(session))
        results = [await run(function, trial) for function in AREAS if not wanted or function.__name__ in wanted]
        await client.close()
        await asyncio.gather(connection, return_exceptions=True)
    return 0 if all(results) else 1


sys.exit(asyncio.run(main()))
