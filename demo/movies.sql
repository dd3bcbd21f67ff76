-- movies.sql - the sample table: well-known films, summed up in our own words, with tags given by hand.
--
-- Tags are genres from one vocabulary of 21 names (action adventure animation biography comedy crime documentary drama
-- family fantasy film-noir history horror music mystery romance sci-fi sport thriller war western), then a few free words.

CREATE TABLE movies (
	id    integer PRIMARY KEY GENERATED ALWAYS AS IDENTITY,
	title text    NOT NULL,
	year  integer NOT NULL,
	tags  text[]  NOT NULL,
	plot  text    NOT NULL,
	UNIQUE (title, year)
);

INSERT INTO movies (title, year, tags, plot) VALUES
('Casablanca', 1942, '{drama,romance,war,nightclub}',
 $$In Morocco during the Second World War, a bitter American runs a nightclub where refugees gamble for papers that would take them to Lisbon. One night the woman who left him without a word in Paris walks in with her husband, a hunted leader of the resistance. He holds the two letters that could save them, and has to decide between winning her back and doing what the fight against the Nazis asks of him.$$),

('Singin'' in the Rain', 1952, '{comedy,music,romance,hollywood}',
 $$Silent films are going out of fashion and a Hollywood studio rushes to turn its latest swashbuckler into a talking picture. The trouble is its leading lady, whose shrill voice makes audiences howl. The star, his piano-playing best friend and a young dancer he is falling for decide to save the picture with songs and tap numbers, and secretly lend the diva another girl's voice.$$),

('Seven Samurai', 1954, '{action,adventure,drama,samurai}',
 $$Farmers in sixteenth-century Japan learn that bandits will return for their rice after the harvest. With nothing to pay but meals, they persuade an ageing, masterless swordsman to defend them, and he gathers six more fighters. The seven train the villagers, dig moats and raise fences, while a farmer's daughter falls in love with the youngest of them. When the riders come, the battle in rain and mud costs both sides dear.$$),

('Vertigo', 1958, '{mystery,romance,thriller,obsession}',
 $$A San Francisco detective gives up his job when a rooftop chase reveals his crippling fear of heights. An old acquaintance hires him to shadow his wife, who seems possessed by a dead ancestor. He falls hopelessly in love with her and cannot stop her from falling to her death. Months later he meets a shopgirl who looks strangely alike, and begins to dress and shape her into the woman he lost.$$),

('Some Like It Hot', 1959, '{comedy,romance,crime,disguise}',
 $$Two broke musicians happen to witness a gangland massacre in Chicago and must leave town at once. Dressed as women, they join an all-female band bound for Florida by train. One of them poses as an oil heir to woo the band's ukulele-playing singer, while the other finds himself courted by an elderly millionaire who will not take no for an answer. Then the mob checks in at their hotel.$$),

('Psycho', 1960, '{horror,mystery,thriller,motel}',
 $$A secretary steals forty thousand dollars from her employer and drives off to start a new life with her lover. A storm forces her to stop at a lonely motel run by a shy young man who stuffs birds and lives under the thumb of his unseen mother. She is stabbed to death in the shower. Her sister and a private detective follow the trail to the old house on the hill.$$),

('Lawrence of Arabia', 1962, '{adventure,biography,history,war,desert}',
 $$A restless British lieutenant, stationed in Cairo in the First World War, is sent into the desert to find an Arab prince and judge his revolt against the Turks. He crosses a waterless waste to seize a port from behind, unites quarrelling tribes and becomes a legend to them. Capture, slaughter and the schemes of generals and politicians leave him unsure whose side he is on, and who he is.$$),

('The Good, the Bad and the Ugly', 1966, '{western,adventure,gold,civil war}',
 $$While the American Civil War rages around them, three gunmen hunt for a chest of stolen gold. A quiet drifter and a talkative bandit, partners in a bounty swindle, each know half of the secret: one the name of a cemetery, the other the name on a grave. A cold-blooded mercenary follows on their heels. Betrayal after betrayal brings them to a stand-off among the tombstones with revolvers drawn.$$),

('2001: A Space Odyssey', 1968, '{sci-fi,mystery,adventure,artificial intelligence}',
 $$At the dawn of humanity, apes touch a black slab and learn to use tools. Millions of years later, a similar object is dug up on the Moon and sends a signal towards Jupiter. A spaceship follows it, steered by a computer that is said never to err. When the machine starts killing the crew, the last astronaut must shut it down and go on alone into something beyond understanding.$$),

('The Godfather', 1972, '{crime,drama,mafia,family business}',
 $$The ageing head of a New York crime family refuses to enter the drug trade and is shot down in the street. His youngest son, a decorated soldier who wanted no part of the family's affairs, offers to kill the men responsible and has to hide in Sicily. When he comes home he takes his father's chair, and settles every account with a ruthlessness that shuts out even his wife.$$),

('Chinatown', 1974, '{crime,mystery,thriller,film-noir,detective}',
 $$A private eye in Los Angeles in the thirties photographs the city's water engineer with a young girl, only to find that he was hired by an impostor. When the engineer is found drowned in a drought, the detective follows the widow, the farmers' parched orange groves and a string of land sales to her immensely rich father. Beneath the fraud lies a family secret far worse than murder.$$),

('Jaws', 1975, '{adventure,horror,thriller,shark}',
 $$A great white shark kills a swimmer off a small holiday island, but the mayor will not close the beaches before the Fourth of July. After more deaths, the police chief, who hates the sea, goes out with a young marine scientist and a gruff fisherman on an old boat. The hunt turns round when the animal, larger than any they have seen, begins to hunt them.$$),

('Taxi Driver', 1976, '{crime,drama,loneliness,new york city}',
 $$A sleepless veteran of Vietnam drives a cab through the nights of New York and is sickened by what he sees from behind the wheel. Rejected by a campaign worker he adores, he buys guns, shaves his head and prepares for an assassination. He fixes on a twelve-year-old prostitute and decides to free her, and his long loneliness bursts into bloodshed that the newspapers take for heroism.$$),

('Star Wars', 1977, '{sci-fi,action,adventure,fantasy,space}',
 $$A farm boy on a desert planet buys two robots and finds in one of them a plea for help from a captured princess. With an old hermit who teaches him about a mystical power, a smuggler and his furry co-pilot, he sets out to rescue her from a battle station that can destroy whole worlds. The rebels have one chance: a single shot into its exhaust port from a tiny starfighter.$$),

('Alien', 1979, '{horror,sci-fi,thriller,space}',
 $$The crew of a freight spaceship is woken from deep sleep to look into a signal from an unknown moon. One of them comes back with a creature clamped to his face; later something bursts from his chest and vanishes into the air ducts. It grows, and takes the crew one by one. The second officer finds out that the company wants the organism, and holds the people expendable.$$),

('Apocalypse Now', 1979, '{war,drama,vietnam}',
 $$An army captain waiting for orders in Saigon is sent up a river into Cambodia to kill a colonel who has gone mad and rules over a tribe as a god. The patrol boat passes helicopters attacking a village so that a commander can surf, a show of dancing girls, and a bridge that is rebuilt every day. The nearer he comes, the better he understands the man he must murder.$$),

('The Shining', 1980, '{horror,mystery,drama,hotel}',
 $$A writer takes a job as winter caretaker of a huge hotel in the mountains and moves in with his wife and small son. The boy has visions of twin girls and of blood pouring from the lifts. Snow cuts the roads, ghosts pour drinks at an empty bar, and the father, unable to write more than one sentence over and over, takes up an axe against his own family.$$),

('Raging Bull', 1980, '{biography,drama,sport,boxing}',
 $$A middleweight from the Bronx batters his way to the world championship, taking punishment in the ring as if he deserved it. Outside, jealousy eats him: he suspects his young wife and beats the brother who manages him. Title, marriage and money go one after the other, and he ends as a bloated nightclub entertainer, reciting lines to a dressing room mirror.$$),

('Raiders of the Lost Ark', 1981, '{action,adventure,archaeology,nazis}',
 $$In 1936 a professor of archaeology with a whip and a fear of snakes is asked to find the chest that held the tablets of Moses before the Nazis do. He picks up an old flame in Nepal, where she keeps a bar and half of the clue, and races through Cairo's bazaars, a buried temple and a runaway truck. When the chest is finally opened, it does not spare the curious.$$),

('Blade Runner', 1982, '{sci-fi,thriller,film-noir,android}',
 $$In a rain-soaked Los Angeles of the future, a weary policeman is called back to hunt four artificial humans who have fled slavery on distant colonies. They have come to demand more life from the man who designed them to die after four years. As he kills them one by one, he falls in love with another who does not know what she is, and starts to doubt the difference.$$),

('E.T. the Extra-Terrestrial', 1982, '{family,sci-fi,adventure,alien friend}',
 $$A small botanist from another planet is left behind when his ship takes off in a hurry from a Californian wood. A lonely boy whose father has left lures him home with sweets and hides him in a cupboard with the help of his brother and little sister. The visitor builds a device to call his people out of toys and tools, while men with keys and radiation suits close in on the house.$$),

('Amadeus', 1984, '{biography,drama,music,history,envy}',
 $$From a madhouse an old court composer confesses to a priest that he murdered Mozart. He tells how he had promised God his devotion in exchange for fame, and how a giggling, foul-mouthed young man came to Vienna with the divine gift that was denied to him. Sick with envy and the only one to know how great the music is, he comes to his door behind a mask to order a requiem.$$),

('Back to the Future', 1985, '{adventure,comedy,sci-fi,time travel}',
 $$A teenager is hurled thirty years into the past by a car that his eccentric friend, an inventor, has turned into a time machine. By accident he keeps his parents from meeting, and his own mother takes a fancy to him. He has a week to bring the timid youth who will be his father together with her at the school dance, and to catch the stroke of lightning that can send him home.$$),

('Ran', 1985, '{action,drama,war,history,samurai}',
 $$An old warlord in medieval Japan divides his castles among three sons and banishes the youngest for telling him that it is folly. The elder two turn on their father, slaughter his guards and drive him out of his mind onto the plain with only his fool. A daughter-in-law, whose own family he had wiped out, quietly steers the brothers into a war that leaves nothing standing.$$),

('The Princess Bride', 1987, '{adventure,comedy,family,fantasy,romance}',
 $$A grandfather reads a book to his sick grandson, who fears that it will be all about kissing. It has a farm boy who returns as a masked pirate, a kidnapped bride-to-be, a Spanish swordsman who has sworn to avenge his father, a gentle giant and a swamp full of oversized rats. True love, a miracle pill and a battle of wits with poison stand between a wicked prince and his wedding.$$),

('My Neighbor Totoro', 1988, '{animation,family,fantasy,childhood}',
 $$Two sisters move to an old house in the country with their father, to be near the hospital where their mother is recovering. In the roots of a giant camphor tree the younger one finds a huge, furry, sleepy spirit that only children can see. It makes acorns sprout overnight and lends them a bus in the shape of a cat when the little girl sets off alone to bring her mother an ear of corn.$$),

('Die Hard', 1988, '{action,thriller,skyscraper,hostage}',
 $$A New York policeman flies to Los Angeles for Christmas to make peace with his estranged wife, and is washing his feet when elegant thieves posing as terrorists take over the tower where she works. Barefoot, with a pistol and a radio, he picks them off floor by floor, to the despair of the officials outside. The leader wants the bonds in the vault, and then finds out who his wife is.$$),

('Grave of the Fireflies', 1988, '{animation,drama,war,childhood}',
 $$After their mother dies in the firebombing of Kobe, a boy of fourteen and his little sister are taken in by an aunt who grudges them every bowl of rice. They move into an abandoned shelter by a pond and light it with fireflies. In the last months of the war he steals food during air raids, but cannot stop the girl from starving, and has only a tin of fruit drops left to give her.$$),

('Cinema Paradiso', 1988, '{drama,romance,nostalgia,sicily}',
 $$A famous film director in Rome hears that an old man in his Sicilian village has died, and remembers. As a fatherless boy he spent every free hour in the projection booth, learning the trade from the gruff projectionist while the priest had all the kisses cut out of the films. A fire, a first love and military service followed, and the old man's order never to come back.$$),

('GoodFellas', 1990, '{crime,drama,biography,mafia}',
 $$A boy in Brooklyn runs errands for the gangsters across the street and wants nothing else from life. He grows up to hijack lorries with two violent friends, marries, keeps a mistress, and helps in the biggest robbery an airport has ever seen. Drugs and nerves undo him: partners who know too much begin to disappear, helicopters seem to follow his car, and he turns informer to survive.$$),

('The Silence of the Lambs', 1991, '{crime,horror,thriller,serial killer}',
 $$A trainee of the FBI is sent to question a brilliant psychiatrist who ate his victims, in the hope that he will help to catch another murderer, one who skins young women. He trades hints for her most painful childhood memory. With a senator's daughter held at the bottom of a dry well and hours to live, the trainee follows the last clue alone to a house with a dark cellar.$$),

('Thelma & Louise', 1991, '{adventure,crime,drama,road trip}',
 $$A waitress and her friend, a housewife with a bullying husband, drive off for a weekend in the mountains. In the car park of a bar a man tries to rape one of them, and the other shoots him dead. They flee across the South-West in an open car, are robbed by a charming hitchhiker, hold up a shop and lock a policeman in his boot, freer with each mile and ever closer to the end of the road.$$),

('Unforgiven', 1992, '{western,drama,revenge}',
 $$Two cowboys slash the face of a prostitute in Wyoming, and when the sheriff lets them off with a fine of ponies, the women put up a bounty. A widowed pig farmer, once a notorious killer of women and children, needs the money and rides out with an old partner and a boastful, short-sighted boy. Killing turns out as ugly as he remembers, until his friend's body is put on show outside the saloon.$$),

('Jurassic Park', 1993, '{adventure,sci-fi,action,dinosaur}',
 $$A billionaire has bred living dinosaurs from blood preserved in amber, and invites three scientists and his grandchildren to his island before the park opens. A bribed programmer switches off the electric fences to smuggle out embryos, in the middle of a tropical storm. The visitors' cars stop beside the tyrannosaur's paddock, and the clever hunters that nobody should have made learn how to open doors.$$),

('Schindler''s List', 1993, '{biography,drama,history,war,holocaust}',
 $$A German businessman comes to occupied Kraków to make his fortune from the war with Jewish workers who cost him nothing. Having watched the ghetto being emptied, and the camp commandant shooting prisoners from his balcony, he begins to spend what he has earned. With his accountant he types a list of more than a thousand names, and buys each of them out of the trains that go to Auschwitz.$$),

('Groundhog Day', 1993, '{comedy,fantasy,romance,time loop}',
 $$A conceited television weatherman is sent to a small town to report on a rodent that predicts the spring, and wakes the next morning to find it is the same day again. He steals, gorges, seduces, despairs and kills himself many times over, and always the clock radio plays the same song. Only when he learns the piano and starts to help the people around him does his kind producer look at him differently.$$),

('Pulp Fiction', 1994, '{crime,thriller,comedy,hitman}',
 $$Two talkative hitmen fetch a briefcase for their boss, and one of them takes a hail of missed bullets for a sign from God. The other has to entertain the boss's wife for one evening, and ends it with a needle in her heart. A boxer who was paid to lose wins and runs, but goes back for his father's watch. The tales cross out of order, and finish in the coffee shop where they began.$$),

('The Shawshank Redemption', 1994, '{drama,crime,prison,friendship}',
 $$A banker is sentenced to two life terms for the murder of his wife and her lover, which he says he did not commit. In prison he befriends a man who can get hold of anything, endures beatings, builds a library and keeps the warden's crooked books. For nineteen years he hides behind a poster what patience and a small rock hammer can do, and never gives up hope.$$),

('The Lion King', 1994, '{animation,adventure,family,music,lion}',
 $$A lion cub who cannot wait to be king is tricked by his uncle into believing that he caused his father's death in a stampede. He runs away and grows up without a care on grubs and songs with a meerkat and a warthog. When a childhood friend tells him that the pride lands are starving under the usurper and the hyenas, an old baboon helps him to remember who he is.$$),

('Hoop Dreams', 1994, '{documentary,sport,basketball,chicago}',
 $$Cameras follow two Black boys from poor districts of Chicago through five years as they try to make a living of basketball. Both are recruited by a mostly white Catholic school an hour and a half away; one stays, injures his knee and struggles with tests, the other is dropped when his parents cannot pay the fees. Mothers, absent fathers, coaches and recruiters all have dreams of their own for them.$$),

('Heat', 1995, '{action,crime,thriller,heist}',
 $$A master thief in Los Angeles lives by the rule of keeping nothing he could not walk away from in thirty seconds. A detective whose third marriage is falling apart is on his trail after a bloody robbery of an armoured van. The two meet over a cup of coffee and find that they understand each other. Then a bank job ends in a gunfight through the streets, and neither can turn aside.$$),

('Toy Story', 1995, '{animation,adventure,comedy,family,toys}',
 $$When people look away, toys come to life. A cowboy doll has always been a boy's favourite, until a space ranger with a laser and wings arrives as a birthday present and will not believe that he is a plaything. Jealousy throws both out of the window and into the hands of the cruel child next door. They must become friends to get home before the family moves house.$$),

('Fargo', 1996, '{crime,thriller,comedy,kidnapping}',
 $$A car salesman in Minnesota, up to his neck in debt, hires two crooks to kidnap his wife so that his rich father-in-law will pay the ransom. A traffic stop on a snowy road ends with three people dead. The local police chief, seven months pregnant and always polite, follows the footprints from one foolish lie to the next, as far as a cabin with a wood chipper.$$),

('Trainspotting', 1996, '{drama,comedy,heroin,edinburgh}',
 $$A young man in Edinburgh has chosen heroin over a career, a family and a big television. He and his friends steal, shoot up, and try to give up, between a dead baby, a filthy lavatory and a brawler who needs no drugs to be dangerous. A job in London seems to be a way out, until they all turn up on his doorstep with a bag of narcotics to sell and sixteen thousand pounds to tempt him.$$),

('Princess Mononoke', 1997, '{animation,adventure,fantasy,nature}',
 $$A young prince is cursed by a dying boar god and rides west to seek a cure. He comes upon an iron town whose lady shelters lepers and freed brothel girls, and fells the forest to feed her furnaces. A girl raised by wolves is sworn to kill her. Caught between the people and the animals, he tries to stop a war that ends in the hunt for the head of the forest's spirit.$$),

('Titanic', 1997, '{drama,romance,history,shipwreck}',
 $$A penniless artist wins a ticket for the maiden voyage of the greatest liner in the world and talks a girl in first class out of jumping overboard. She is engaged to a rich bully whom her mother needs her to marry. They dance below deck, he draws her wearing a blue diamond, and they are seen together as the ship strikes an iceberg with boats for only half of the people on board.$$),

('The Big Lebowski', 1998, '{comedy,crime,bowling,mistaken identity}',
 $$An unemployed bowler in a bathrobe is mistaken for a millionaire of the same name by thugs who spoil his carpet. When he asks for another, he is drawn into the kidnapping of the rich man's young wife. With a hot-headed veteran who turns every talk to Vietnam, he bungles the ransom, loses his car, meets nihilists and an avant-garde painter, and only wants to get through the league's semi-finals.$$),

('Saving Private Ryan', 1998, '{war,drama,action,normandy}',
 $$Having survived the slaughter on Omaha Beach, a captain is given seven men and an order: find a paratrooper somewhere behind the lines in Normandy whose three brothers have all been killed, and bring him home to his mother. The squad grumbles that eight lives are risked for one, and loses men on the way. They find him at a bridge that must be held against tanks, and he will not leave it.$$),

('Run Lola Run', 1998, '{thriller,action,romance,berlin}',
 $$A small-time courier in Berlin leaves a bag with a hundred thousand marks in the underground. If he cannot hand it to his boss at noon he is a dead man. His red-haired girlfriend has twenty minutes to find the money and reach him, and she runs. Three times the same race begins again; a dog on the stairs, a second lost at a corner, and everyone's fate comes out differently.$$),

('The Matrix', 1999, '{sci-fi,action,virtual reality,dystopia}',
 $$An office worker who is a hacker at night is told that the world he knows is a computer simulation, fed to human beings who lie in pods as batteries for machines. He swallows a red pill and wakes up. With the crew of a rebel hovercraft he learns to bend the rules of the program, dodge bullets and fight agents in dark suits, and has to find out whether he is the one they have been waiting for.$$),

('All About My Mother', 1999, '{drama,comedy,motherhood,barcelona}',
 $$On his seventeenth birthday a boy is run over while chasing an actress for her autograph. His mother, a nurse in Madrid, travels to Barcelona to tell the father, who does not know that he had a son and now lives as a woman. She finds an old friend among the prostitutes, looks after a pregnant nun who is ill, and becomes dresser to the very actress, a makeshift family of women.$$),

('Buena Vista Social Club', 1999, '{documentary,music,cuba}',
 $$An American guitarist goes to Havana to bring together singers and players who were stars before the revolution and have been forgotten since, some of them past eighty, one shining shoes. The camera walks with them through crumbling streets, listens to their stories and to the recording sessions, and travels along when the old men play for ecstatic crowds in Amsterdam and at Carnegie Hall.$$),

('Crouching Tiger, Hidden Dragon', 2000, '{action,adventure,drama,romance,martial arts}',
 $$A great swordsman in imperial China wishes to lay down his weapon and give it to the woman he has loved for years without saying so. The blade is stolen by a masked thief who runs over rooftops: a governor's daughter, promised to a man she does not want, secretly trained by a murderess and in love with a desert outlaw. Duels among bamboo tops decide what each will give up for freedom.$$),

('Gladiator', 2000, '{action,adventure,drama,history,rome}',
 $$The dying emperor asks his best general to give Rome back to the senate. His jealous son strangles the old man, and has the soldier's wife and child killed. Left for dead, the general is sold as a slave and taught to fight in the provinces for the crowd's amusement. In the Colosseum he takes off his helmet before the new ruler, and swears vengeance in this life or the next.$$),

('In the Mood for Love', 2000, '{drama,romance,hong kong,loneliness}',
 $$In a crowded boarding house in Hong Kong in 1962, a journalist and a secretary move in next door to each other on the same day. Both are often left alone in the evening, and slowly realise that his wife and her husband are having an affair. They meet over noodles and a serial they write together, rehearse what they would say, and resolve not to do as the others do, though they fall in love.$$),

('Spirited Away', 2001, '{animation,adventure,family,fantasy,spirits}',
 $$On the way to a new home, a sulky girl of ten and her parents wander into what seems an abandoned fairground. The parents eat from the stalls and turn into pigs. To save them she has to work in a bathhouse for gods and ghosts, kept by a greedy witch who steals her name. With the help of a boy who can be a dragon, a spider-armed boiler man and her own courage, she finds the way back.$$),

('Amélie', 2001, '{comedy,romance,paris}',
 $$A shy waitress in Montmartre finds a box of childhood treasures behind a tile and returns it to its owner in secret. His joy decides her: she will mend the lives of strangers. She sends her father's garden gnome on a journey, makes a match at the tobacco counter and punishes a mean grocer. Only her own luck, a young man who collects torn photographs from booths, is too frightening to reach for.$$),

('Mulholland Drive', 2001, '{mystery,drama,thriller,hollywood}',
 $$A dark-haired woman survives a car crash above Los Angeles and hides in a flat, without memory. A cheerful blonde who has just arrived to become an actress finds her there, and the two play detectives with a handbag of money and a blue key. Meanwhile gangsters force a director to cast a girl he does not want. Then a box is opened, and the names, the love and the dream turn inside out.$$),

('The Lord of the Rings: The Fellowship of the Ring', 2001, '{adventure,fantasy,action,quest}',
 $$A hobbit inherits from his uncle a golden ring, and learns from a wizard that it was forged by a dark lord who will enslave the world if he gets it back. It can only be destroyed in the volcano where it was made. Black riders chase him to the elves, where two men, an elf, a dwarf and three friends swear to go with him, through snow, mines and a fiery demon, until the ring begins to part them.$$),

('City of God', 2002, '{crime,drama,brazil,gang}',
 $$A boy who wants to be a photographer grows up in a slum of Rio de Janeiro where children carry guns. He tells how petty thieves of the sixties were followed by a cold-blooded child who came to rule the drug trade, and how a peaceful bus conductor was drawn into war with him by a crime against his girl. When the gangs open fire in the street, he is between them with a camera.$$),

('Bend It Like Beckham', 2002, '{comedy,drama,sport,romance,football}',
 $$The younger daughter of a Sikh family in London plays football in the park better than any of the boys, with pictures of her idol on her wall. Her parents would like her to learn to cook and find a husband. A new friend talks her into joining a women's team, and she trains behind their backs, until the day of the final with a scout in the stands turns out to be her sister's wedding day.$$),

('Finding Nemo', 2003, '{animation,adventure,comedy,family,ocean}',
 $$A clownfish who lost his wife and all but one of their eggs to a barracuda never lets his son out of sight. On the first day of school the little one swims out to a boat on a dare, and is netted by a diver. The father crosses the sea to a dentist's aquarium in Sydney, with a blue fish who forgets everything within minutes, past sharks on a diet, jellyfish and a whale.$$),

('Oldboy', 2003, '{thriller,mystery,drama,revenge}',
 $$A drunken businessman is snatched off a street in Seoul and shut in a room with a television for fifteen years, without ever being told why. Accused of his wife's murder in the meantime, he is suddenly let go with a suit, money and a telephone. A voice gives him five days to find the reason. With a young sushi cook and a hammer he tears his way to an answer he would rather not have had.$$),

('Eternal Sunshine of the Spotless Mind', 2004, '{drama,romance,sci-fi,memory}',
 $$After a quarrel a shy man finds out that his impulsive girlfriend has had every memory of him removed by a small medical firm, and out of spite orders the same. As the technicians work through the night in his bedroom, he relives their story backwards, from the bitter end to the first day on a frozen beach, and changes his mind. He tries to hide her in corners of his childhood where the machine will not look.$$),

('Pan''s Labyrinth', 2006, '{drama,fantasy,war,spain}',
 $$Spain in 1944: a girl and her pregnant mother come to live with the new stepfather, a captain who hunts down partisans in the hills with great cruelty. In an overgrown maze a faun tells her that she is the lost princess of a realm underground, and sets three tasks. A toad, a pale monster with eyes in its hands and a last, terrible demand wait for her, while the housekeeper smuggles medicine to the rebels.$$),

('The Lives of Others', 2006, '{drama,thriller,history,surveillance}',
 $$East Berlin, 1984. A loyal captain of the secret police bugs the flat of a playwright, because a minister desires the man's girlfriend, an actress. In the attic with his headphones, the lonely listener is touched by the couple's love, by a poem and a piece for the piano. He begins to leave things out of his reports, and when the writer smuggles an article to the West, hides the evidence.$$),

('Ratatouille', 2007, '{animation,comedy,family,cooking}',
 $$A rat with an exquisite nose would rather cook than eat rubbish. Swept away from his clan into the sewers of Paris, he comes out by the restaurant of a late great chef, and saves a soup that the clumsy kitchen boy has spoiled. Hidden under the boy's hat and pulling his hair like reins, he makes him a star, until the head chef grows suspicious and the most dreaded critic in town books a table.$$),

('No Country for Old Men', 2007, '{crime,thriller,western,texas}',
 $$A welder out hunting near the Texan border comes across dead men, lorries full of drugs and a case with two million dollars, which he takes. After him comes a killer with a slaughterhouse bolt gun, who lets a coin decide whether strangers live. The old sheriff who follows them both from motel to motel is always too late, and begins to feel that he no longer understands the world he polices.$$),

('WALL-E', 2008, '{animation,family,sci-fi,romance,robot}',
 $$Seven hundred years after mankind left an Earth covered in rubbish, one small robot is still pressing it into cubes and collecting what he likes. A sleek white probe lands to look for signs of plant life, and he falls in love. When she is called back with a seedling, he clings to the rocket, as far as a ship on which people have grown too fat to walk and the autopilot does not mean to go home.$$),

('Slumdog Millionaire', 2008, '{drama,romance,crime,india}',
 $$A tea boy from the slums of Mumbai is one question away from twenty million rupees on a quiz show, and the police torture him to find out how he cheats. He explains how he came to know each answer: the riot that killed his mother, the gang that blinded children for begging, his brother the gangster, and the girl he has looked for ever since they were small and only joined the show to find.$$),

('Man on Wire', 2008, '{documentary,biography,crime,acrobat}',
 $$One August morning in 1974 a young Frenchman stepped onto a cable between the towers of the World Trade Center and danced there for three quarters of an hour. He and his accomplices, in interviews and old footage, tell how they planned it for years like a bank robbery: false passes, a bow and arrow to shoot the line across, a night under a tarpaulin, and what the walk did to their friendship.$$),

('Inception', 2010, '{sci-fi,action,thriller,dream}',
 $$A thief who steals secrets from people's dreams, and cannot go home to his children, is offered a way back: he must plant an idea instead. He gathers a forger, a chemist and a young architect, and puts the heir of a business empire to sleep on a long flight. They go down into a dream within a dream within a dream, where minutes become years and his dead wife waits to spoil everything.$$),

('The Social Network', 2010, '{biography,drama,friendship,lawsuit}',
 $$Dropped by his girlfriend, a student at Harvard spends one drunken night writing a site that compares girls' faces, and crashes the university's network. Soon he launches something larger that makes him the youngest billionaire there is. Two rowing twins say that he stole their idea, and his best friend, who paid for the first servers and was squeezed out, sits across the table with his lawyers.$$),

('The Artist', 2011, '{comedy,drama,romance,hollywood}',
 $$A vain idol of the silent screen helps a pretty extra onto the ladder, and laughs when the studio shows him what sound can do. She becomes the darling of the talkies while he sinks his fortune into one last film without words. Ruined, drinking and deserted by all but his chauffeur and a clever little dog, he does not know who has been buying up his furniture at auction.$$),

('A Separation', 2011, '{drama,iran,divorce}',
 $$A couple in Tehran come before a judge: she wants to leave the country for their daughter's sake, he will not abandon his father, who has lost his memory. When she moves out he hires a devout woman from a poor suburb to nurse the old man, and finds him tied to the bed. He pushes her out of the door, and she loses the child she was carrying. Everybody lies a little, and the girl has to choose.$$),

('Mad Max: Fury Road', 2015, '{action,adventure,sci-fi,desert,dystopia}',
 $$In a wasteland without water, a one-armed woman driver turns her armoured lorry off the road: hidden on board are the five wives of the tyrant who owns the spring. His painted army roars after them, with a captive drifter chained to a car as a living bag of blood. He breaks loose and makes a wary peace with the women. Through sandstorm and swamp they race for a green place that may be no more.$$),

('Get Out', 2017, '{horror,mystery,thriller,racism}',
 $$A young Black photographer spends a weekend with the parents of his white girlfriend, who overdo their welcome. The gardener and the maid smile without blinking, the mother stirs her tea and puts him into a trance against his will, and the guests at a garden party feel his muscles. He wants to leave, and cannot find the car keys. The family has plans for his body that leave no room for himself.$$),

('Parasite', 2019, '{comedy,drama,thriller,class,korea}',
 $$A family that folds pizza boxes in a basement in Seoul gets a foot in the door of a rich household when the son is taken on as a tutor. With forged papers and cunning, his sister becomes the art teacher, the father the chauffeur and the mother the housekeeper, as if they were strangers. On a night of heavy rain the dismissed housekeeper rings the bell, and asks to fetch something from the cellar.$$);
